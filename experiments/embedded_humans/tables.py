"""Who is shown, and how: the identities, the poses, and which identity takes which pose.

Angles are degrees, from the model's rest pose (arms 48° below the horizontal). Keys of a pose:

    root         (pitch forward, roll, yaw) of the whole body
    spine, neck  (bend forward, bend to the left, twist to the left)
    larm, rarm   (raise, swing forward in the horizontal plane, swing forward about the left-right axis)
    lelbow …     flexion; lknee … the same
    lhip, rhip   (flexion forward, abduction, turning the toes out)
"""

# Values in [0, 1] of anny's phenotypes: gender 0 male, 1 female; age 0.67 young adult, 1 old (adults only).
PHENOTYPES = ("gender", "age", "muscle", "weight", "height", "proportions")
IDENTITIES = {
    "man_slim": (0.05, 0.70, 0.35, 0.05, 0.46, 0.60),
    "woman_average": (0.95, 0.70, 0.50, 0.45, 0.45, 0.70),
    "man_heavy": (0.00, 0.80, 0.15, 0.95, 0.36, 0.30),
    "woman_heavy": (1.00, 0.75, 0.20, 0.90, 0.42, 0.40),
    "man_athlete": (0.00, 0.70, 0.95, 0.60, 0.42, 0.85),
    "woman_small": (0.90, 0.72, 0.40, 0.25, 0.30, 0.50),
    "woman_old": (1.00, 0.97, 0.25, 0.55, 0.38, 0.40),
    "man_small": (0.10, 0.74, 0.50, 0.55, 0.27, 0.55),
    # the identities of the test shapes
    "man_average": (0.10, 0.72, 0.60, 0.55, 0.40, 0.55),
    "woman_tall": (0.90, 0.70, 0.75, 0.60, 0.56, 0.80),
    "adult_stout": (0.50, 0.75, 0.20, 0.80, 0.33, 0.40),
    "man_old": (0.00, 0.95, 0.30, 0.30, 0.40, 0.45),
}

POSES = {
    "stand": {"larm": (-17, 0, 0), "rarm": (-17, 0, 0), "lhip": (0, 5, 5), "rhip": (0, 5, 5)},
    "t_pose": {"larm": (45, 0, 0), "rarm": (45, 0, 0), "lhip": (0, 6, 0), "rhip": (0, 6, 0)},
    "arms_up": {"larm": (115, 5, 0), "rarm": (110, 0, 0), "lelbow": -10, "relbow": 15, "lhip": (0, 9, 0), "rhip": (0, 9, 0)},
    "one_up": {"larm": (105, 0, 0), "rarm": (-10, 0, 0), "relbow": 40, "spine": (0, -12, 8), "lhip": (4, 10, 0), "rhip": (0, 6, 8)},
    "walk": {"larm": (-14, 0, -28), "rarm": (-14, 0, 30), "relbow": 15, "lhip": (28, 3, 0), "rhip": (-18, 3, 0), "rknee": 28, "lknee": 6},
    "run": {
        "larm": (-8, 0, -45), "rarm": (-8, 0, 45), "lelbow": 55, "relbow": 60, "lhip": (65, 4, 0), "lknee": 80,
        "rhip": (-18, 4, 0), "rknee": 50, "spine": (12, 0, 8),
    },
    "sit": {
        "larm": (40, 40, 15), "rarm": (18, 20, 0), "lhip": (82, 16, 0), "rhip": (82, 16, 0), "lknee": 82, "rknee": 70, "spine": (8, 0, 0),
    },
    "squat": {
        "larm": (42, 70, 42), "rarm": (42, 70, 42), "lhip": (76, 28, 22), "rhip": (76, 28, 22), "lknee": 88, "rknee": 88,
        "root": (14, 0, 0), "spine": (12, 0, 0),
    },
    "kick": {
        "larm": (40, -15, 0), "rarm": (35, 45, 0), "lhip": (85, 8, 0), "lknee": 8, "rhip": (-6, 4, 5), "rknee": 8,
        "spine": (-8, -6, -10),
    },
    "lunge": {"larm": (85, 30, 0), "rarm": (20, -10, 0), "lhip": (78, 6, 0), "lknee": 75, "rhip": (-28, 4, 0), "rknee": 22},
    "bow": {
        "root": (30, 0, 0), "spine": (48, 0, 0), "neck": (15, 0, 0), "lhip": (32, 6, 0), "rhip": (32, 6, 0),
        "larm": (0, 0, 60), "rarm": (10, 0, 45),
    },
    "twist": {
        "spine": (0, 0, 48), "neck": (0, 0, 22), "larm": (42, -10, 0), "rarm": (42, 10, 0), "relbow": 60, "lhip": (5, 8, 0),
        "rhip": (0, 8, 0),
    },
    "side_bend": {
        "spine": (0, 36, 0), "neck": (0, 14, 0), "larm": (0, 0, 0), "rarm": (112, 0, 0), "relbow": 20, "lhip": (0, 10, 0),
        "rhip": (0, 12, 0),
    },
    "boxer": {
        "larm": (0, 30, 20), "rarm": (-4, 22, 30), "lelbow": 70, "relbow": 78, "lhip": (22, 8, 0), "lknee": 22,
        "rhip": (-12, 8, 15), "rknee": 14,
        "spine": (10, 0, -18),
    },
    "throw": {
        "rarm": (62, -25, 0), "relbow": 80, "larm": (38, 65, 0), "lhip": (32, 5, 0), "lknee": 18, "rhip": (-18, 6, 20),
        "rknee": 10, "spine": (-8, 0, -22),
    },
    "kneel": {"lhip": (76, 8, 0), "lknee": 80, "rhip": (-4, 5, 0), "rknee": 85, "larm": (30, 35, 10), "rarm": (8, -12, 0), "relbow": 35},
    "balance": {
        "root": (48, 0, 0), "lhip": (46, 2, 0), "rhip": (-22, 2, 0), "rknee": 10, "spine": (-8, 0, 0), "neck": (-15, 0, 0),
        "larm": (62, 25, 0), "rarm": (48, -12, 0),
    },
    "wave": {"rarm": (58, 10, 0), "relbow": 75, "larm": (2, 0, 10), "lhip": (0, 5, 0), "rhip": (8, 7, 5), "rknee": 14, "spine": (0, 7, -6)},
    "archer": {
        "larm": (42, 5, 0), "rarm": (42, -12, 0), "relbow": 80, "neck": (0, 0, 35), "spine": (0, 0, -15),
        "lhip": (10, 16, 10), "rhip": (-5, 16, 15),
    },
    "reach_down": {
        "root": (22, 0, 0), "spine": (38, 12, 28), "lhip": (28, 14, 5), "rhip": (28, 14, 5), "larm": (90, -10, 0),
        "rarm": (10, 25, 35), "lknee": 10,
    },
    "star": {"larm": (88, -5, 0), "rarm": (82, 5, 0), "lhip": (0, 32, 0), "rhip": (4, 26, 0), "spine": (-6, 0, 5)},
    "stride_back": {
        "larm": (52, 35, 0), "rarm": (-6, -5, -30), "lelbow": 30, "lhip": (-24, 5, 0), "lknee": 40, "rhip": (34, 5, 0),
        "neck": (-8, 10, -20),
    },
}

# (identity, pose) of shape 0, 1, 2 …; "~" before a pose mirrors it. The first TRAIN_SHAPES are the train split.
TRAIN_SHAPES = 20
SCHEDULE = (
    ("man_slim", "t_pose"), ("man_slim", "walk"), ("man_slim", "~throw"),
    ("woman_average", "stand"), ("woman_average", "arms_up"), ("woman_average", "~kick"),
    ("man_heavy", "one_up"), ("man_heavy", "twist"),
    ("woman_heavy", "~lunge"), ("woman_heavy", "wave"),
    ("man_athlete", "run"), ("man_athlete", "bow"), ("man_athlete", "boxer"),
    ("woman_small", "~star"), ("woman_small", "sit"),
    ("woman_old", "side_bend"), ("woman_old", "~walk"),
    ("man_small", "kneel"), ("man_small", "squat"), ("man_small", "~balance"),
    ("man_average", "stand"), ("man_average", "~run"), ("man_average", "archer"),
    ("woman_tall", "reach_down"), ("woman_tall", "~one_up"), ("woman_tall", "lunge"),
    ("adult_stout", "arms_up"), ("adult_stout", "~twist"),
    ("man_old", "stride_back"), ("man_old", "~sit"),
)  # fmt: skip
