"""Random people in random poses: far wider than the thirty bodies of `tables.py`, and as bent as real scans are.

Angles as in `tables.py`, and beside its keys: `lroll` turns the upper arm about its own axis, `lwrist`, `lfoot` are
Euler angles about x, y, z, `lfist` curls the fingers (1: a fist).
"""

import numpy as np
from scipy.spatial.transform import Rotation

from .body import jittered, mirrored
from .tables import POSES

# What scans of people show and `tables.POSES` lacks.
EXTREMES = {
    "deep_squat": {"lhip": (112, 30, 25), "rhip": (108, 25, 20), "lknee": 135, "rknee": 132, "spine": (28, 0, 0),
                   "larm": (-20, 60, 30), "rarm": (-15, 65, 25), "lelbow": 60, "relbow": 70},
    "bent_arms_back": {"spine": (70, 0, 0), "neck": (-20, 0, 0), "lhip": (55, 8, 0), "rhip": (50, 8, 0),
                       "lknee": 15, "rknee": 20, "larm": (10, -30, -65), "rarm": (10, -30, -65)},
    "touch_floor": {"spine": (75, 0, 0), "neck": (30, 0, 0), "lhip": (85, 6, 0), "rhip": (85, 6, 0),
                    "larm": (0, 10, 90), "rarm": (0, 10, 90)},
    "crossed_arms": {"larm": (-25, 55, 35), "rarm": (-22, 60, 45), "lelbow": 105, "relbow": 110,
                     "lroll": -40, "rroll": -40, "lfist": 0.4, "rfist": 0.4},
    "hands_on_hips": {"larm": (-5, -15, -10), "rarm": (-5, -15, -10), "lelbow": 95, "relbow": 95,
                      "lroll": -50, "rroll": -50},
    "hands_on_head": {"larm": (85, 15, 0), "rarm": (85, 10, 0), "lelbow": 125, "relbow": 125, "lroll": 40, "rroll": 40},
    "hands_at_back": {"larm": (-25, -20, -35), "rarm": (-25, -20, -35), "lelbow": 85, "relbow": 85,
                      "lroll": -80, "rroll": -80},
    "hug_knees": {"lhip": (118, 5, 0), "rhip": (118, 5, 0), "lknee": 130, "rknee": 130, "spine": (45, 0, 0),
                  "neck": (25, 0, 0), "larm": (5, 70, 45), "rarm": (5, 70, 45), "lelbow": 50, "relbow": 50},
    "cross_legged": {"lhip": (88, 40, 45), "rhip": (88, 42, 45), "lknee": 125, "rknee": 125, "spine": (12, 0, 0),
                     "larm": (-15, 25, 10), "rarm": (-15, 25, 10), "lelbow": 40, "relbow": 40},
    "knee_to_chest": {"lhip": (118, 5, 0), "lknee": 125, "rhip": (0, 4, 0), "larm": (0, 60, 40), "rarm": (0, 65, 45),
                      "lelbow": 60, "relbow": 65, "spine": (20, 0, 0)},
    "high_kick": {"lhip": (112, 12, 0), "lknee": 5, "rhip": (-10, 5, 10), "spine": (-12, 8, 12),
                  "larm": (50, -25, 0), "rarm": (20, 40, 0)},
    "arms_up_crossed": {"larm": (118, 45, 0), "rarm": (118, 45, 0), "lelbow": 35, "relbow": 30},
    "swimmer": {"spine": (-25, 0, 0), "neck": (-35, 0, 0), "larm": (125, 10, 0), "rarm": (125, 10, 0),
                "lhip": (-25, 8, 0), "rhip": (-15, 8, 0), "lknee": 20},
    "guard": {"larm": (-10, 45, 45), "rarm": (-10, 45, 45), "lelbow": 125, "relbow": 125, "spine": (20, 0, 15),
              "lfist": 1.0, "rfist": 1.0, "lhip": (30, 12, 0), "lknee": 35, "rhip": (-10, 10, 20)},
    "golfer": {"spine": (35, 0, 45), "neck": (10, 0, -30), "larm": (20, 85, 25), "rarm": (-10, 75, 45),
               "lelbow": 10, "relbow": 55, "lhip": (25, 8, 0), "rhip": (25, 8, 0), "lfist": 1.0, "rfist": 1.0},
    "twisted_bend": {"spine": (50, 20, 50), "neck": (0, 0, 45), "larm": (95, -30, 0), "rarm": (10, 40, 60),
                     "lhip": (45, 20, 10), "rhip": (45, 20, 10)},
    "split_step": {"lhip": (85, 5, 0), "lknee": 25, "rhip": (-35, 5, 0), "rknee": 10, "spine": (5, 0, -20),
                   "larm": (70, -30, 0), "rarm": (70, 50, 0)},
    "arms_forward": {"larm": (45, 88, 0), "rarm": (45, 88, 0), "lroll": 30, "rroll": 30, "lfist": 0.8, "rfist": 0.8},
    "arms_back": {"larm": (20, -45, -30), "rarm": (20, -45, -30), "spine": (15, 0, 0), "neck": (-25, 0, 0)},
    "side_lunge": {"lhip": (70, 50, 30), "lknee": 95, "rhip": (5, 45, 10), "spine": (15, 25, 10),
                   "larm": (60, 20, 0), "rarm": (110, 0, 0), "relbow": 40},
    "crouch_turn": {"lhip": (100, 15, 0), "rhip": (60, 20, 10), "lknee": 120, "rknee": 125, "spine": (40, -15, -35),
                    "neck": (-20, 0, -45), "larm": (-10, 20, 60), "rarm": (40, 60, 0), "relbow": 80},
}  # fmt: skip

# Lowest and highest angle of each joint; degrees.
RANGES = {
    "spine": ((-25, -35, -50), (75, 35, 50)), "neck": ((-35, -25, -55), (40, 25, 55)),
    "arm": ((-42, -45, -65), (122, 95, 85)), "elbow": (-5, 140), "roll": (-80, 60), "wrist": ((-30,) * 3, (30,) * 3),
    "hip": ((-30, -4, -30), (118, 50, 45)), "knee": (-3, 138), "foot": ((-35, -12, -12), (25, 12, 12)),
}  # fmt: skip


def random_identity(rng):
    """Phenotypes in the order of `tables.PHENOTYPES`: mostly adults, every tenth one a child of school age."""
    age = rng.uniform(0.38, 0.6) if rng.random() < 0.1 else rng.uniform(0.62, 1.0)
    gender = np.clip(rng.normal(rng.integers(2), 0.15), 0, 1)
    muscle, weight = rng.uniform(0.1, 1, 2)
    height, proportions = np.clip(rng.normal([0.42, 0.55], [0.12, 0.25]), 0.1, 1)
    return tuple(float(x) for x in (gender, age, muscle, weight, height, proportions))


def random_angles(rng):
    """Every joint anywhere in its range, drawn towards the rest pose by one random factor for the body."""
    vigour = rng.uniform(0.35, 1.0)

    def angle(part):
        low, high = (np.asarray(bound, dtype=float) for bound in RANGES[part])
        still = rng.random() < 0.2  # a part at rest
        drawn = rng.beta(1.2, 1.2, low.shape) * (high - low) + low
        value = drawn * (0.15 if still else vigour)
        return tuple(value.tolist()) if low.ndim else float(value)

    pose = {part: angle(part) for part in ("spine", "neck")}
    alike = rng.random() < 0.35  # both sides do the same, as in a squat
    for part in ("arm", "elbow", "roll", "wrist", "hip", "knee", "foot"):
        pose["l" + part] = angle(part)
        pose["r" + part] = pose["l" + part] if alike else angle(part)
    return jittered(pose, 5.0, rng)


def random_pose(rng):
    """A pose of either table, mirrored or not, with generous jitter; or random angles."""
    kind = rng.random()
    if kind < 0.5:
        pose = random_angles(rng)
    else:
        table = EXTREMES if kind < 0.82 else POSES
        pose = table[sorted(table)[rng.integers(len(table))]]
        pose = jittered({"larm": (-30, 0, 0), "rarm": (-30, 0, 0)} | pose, 9.0, rng)
        pose |= {side + "wrist": tuple(rng.normal(0, 12, 3)) for side in "lr"}
    for side in "lr":
        if side + "fist" not in pose:
            pose[side + "fist"] = float(rng.random() < 0.5) * rng.uniform(0.1, 1.0)
    return mirrored(pose) if rng.random() < 0.5 else pose


def smooth_field(points, rng, *, size, waves=12, wavelengths=(0.25, 1.5)):
    """A random vector field (n, 3) in space, `size` its root mean square; wavelengths in metres."""
    directions = rng.normal(size=(waves, 3))
    directions /= np.linalg.norm(directions, axis=1, keepdims=True)
    lengths = np.exp(rng.uniform(*np.log(wavelengths), waves))
    phase = points @ (2 * np.pi * directions / lengths[:, None]).T + rng.uniform(0, 2 * np.pi, waves)
    field = np.sin(phase) @ (rng.normal(size=(waves, 3)) * lengths[:, None])
    return field * (size / np.sqrt((field**2).sum(axis=1).mean()))


def hair_and_features(rest, head, rng):
    """Displacement (n, 3) of the rest pose by hair (none, short, full, long, a bun) and by features of another face.

    `head` (n,) is 1 at vertices that follow the bone of the head, 0 at others. A bald head knows its front from its
    back by nose and ears alone; scans of people show hair, and coarse or smooth faces.
    """
    centre = np.average(rest, axis=0, weights=head)
    outward = rest - centre
    outward /= np.linalg.norm(outward, axis=1, keepdims=True)
    features = smooth_field(rest, rng, size=rng.uniform(0, 0.006), waves=24, wavelengths=(0.03, 0.2))
    tilt = np.deg2rad(rng.uniform(15, 75))  # the crown's direction, from straight up to the back
    crown = np.array([0.0, np.sin(tilt), np.cos(tilt)])
    hairline = rng.uniform(-0.35, 0.35)  # as the cosine to the crown
    covered = _rising(outward @ crown, hairline, hairline + 0.3)
    thickness = 0.0 if rng.random() < 0.25 else np.exp(rng.uniform(np.log(0.006), np.log(0.05)))
    uneven = 1 + 0.5 * np.tanh(smooth_field(rest, rng, size=1.0, wavelengths=(0.08, 0.3))[:, 0])
    height = thickness * covered * uneven
    if thickness and rng.random() < 0.3:  # long: down the neck
        height += rng.uniform(0.01, 0.05) * _rising(outward[:, 1], 0.2, 0.6) * _rising(-outward[:, 2], -0.2, 0.4)
    if rng.random() < 0.2:
        place = crown + rng.normal(0, 0.3, 3)
        place /= np.linalg.norm(place)
        height += rng.uniform(0.02, 0.07) * np.exp(-0.5 * ((1 - outward @ place) / rng.uniform(0.04, 0.15)) ** 2)
    return head[:, None] * (features + height[:, None] * outward)


def _rising(x, low, high):
    """0 below `low`, 1 above `high`, smooth between."""
    t = np.clip((x - low) / (high - low), 0, 1)
    return t * t * (3 - 2 * t)


def carried(displacement, rest, posed, head):
    """A displacement of the rest pose's head, turned as the pose turns the head."""
    centred = [points - np.average(points, axis=0, weights=head) for points in (rest, posed)]
    rotation, _ = Rotation.align_vectors(centred[1], centred[0], weights=head)
    return rotation.apply(displacement)
