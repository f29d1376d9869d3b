"""The posed body: anny's model, sealed, with the angles of `tables.py` turned into bone rotations."""

from pathlib import Path

import numpy as np
from scipy.spatial import cKDTree
from scipy.spatial.transform import Rotation

from .tables import PHENOTYPES

MIRROR = np.array([-1.0, 1.0, 1.0])  # x points to the left of the body, y to its back, z up
# Vertex density of the remeshed body, relative to the trunk, for parts too thin for its edge length.
PART_DENSITY = {"finger": 5.0, "toe": 4.0, "metacarpal": 2.0, "wrist": 1.5, "head": 1.6, "foot": 1.3}
CHAINS = {"spine": [f"spine0{i}" for i in (5, 4, 3, 2, 1)], "neck": ["neck01", "neck02", "neck03", "head"]}


class Body:
    """anny's body without its inner cavities: closed, genus 0, `faces` and `mirror` shared by all shapes.

    `mirror[i]` is the vertex that vertex i becomes in a mirror: exact, the template is symmetric to the last bit.
    """

    def __init__(self):
        try:
            import anny
        except ImportError as error:
            raise ImportError("making data/humans needs the body model anny: pip install -e .[humans]") from error
        self.model = anny.Anny(topology="anny-noeyes-notongue", skinning_method="dqs")
        self.bones = {name: i for i, name in enumerate(self.model.bone_labels)}
        self._seal(Path(anny.__path__[0]) / "data" / "template_mesh_internal_cavities.pth")
        template = self._sealed(self.model.template_vertices.numpy())
        gap, self.mirror = cKDTree(template).query(template * MIRROR)
        if gap.max() > 1e-6 or not np.array_equal(self.mirror[self.mirror], np.arange(len(template))):
            raise RuntimeError("anny's template is not mirror symmetric: another version? (0.6.2 is)")
        weights, bones = self.model.vertex_bone_weights.numpy(), self.model.vertex_bone_indices.numpy()
        per_bone = np.array(
            [next((d for part, d in PART_DENSITY.items() if name.startswith(part)), 1.0) for name in self.bones]
        )
        is_head = np.array([name == "head" for name in self.bones], dtype=float)
        share = (weights * is_head[bones]).sum(axis=1, keepdims=True)
        self.head = self._sealed(share, inner=True)[:, 0]  # share of the head's bone, also of the inner vertices
        self.density = self._sealed(
            (weights * per_bone[bones]).sum(axis=1, keepdims=True) / weights.sum(axis=1, keepdims=True)
        )

    def _seal(self, cavity_file):
        """Cut off mouth and eye cavities and close each rim by a fan around a new vertex."""
        import torch
        from trimesh import Trimesh

        inner = torch.load(cavity_file, weights_only=True)["vertex_indices"]
        inside = np.isin(self.model.base_mesh_vertex_indices.numpy(), inner)
        every = self.model.faces.numpy()
        faces = every[~inside[every].all(axis=1)]
        used = np.unique(faces)
        faces = np.searchsorted(used, faces)
        self.used = used
        self.rims: list[list[int]] = []
        self.inner = np.setdiff1d(every, used)
        edges = faces[:, [0, 1, 1, 2, 2, 0]].reshape(-1, 2)
        twin = set(map(tuple, edges[:, ::-1]))
        follow = {a: b for a, b in edges.tolist() if (a, b) not in twin}  # rim edges, as their one face runs along them
        fans = []
        while follow:
            start, rim = next(iter(follow)), []
            vertex = start
            while vertex in follow:
                rim.append(vertex)
                vertex = follow.pop(vertex)
            centre = len(used) + len(self.rims)
            fans += [(b, a, centre) for a, b in zip(rim, rim[1:] + rim[:1], strict=True)]
            self.rims.append(rim)
        self.faces = np.concatenate([faces, np.array(fans)])
        number = np.zeros(len(inside), dtype=np.int64)
        number[used], number[self.inner] = np.arange(len(used)), len(used) + len(self.rims) + np.arange(len(self.inner))
        self.faces_with_cavities = number[every]
        mesh = Trimesh(self._sealed(self.model.template_vertices.numpy()), self.faces, process=False)
        if not (mesh.is_watertight and mesh.euler_number == 2 and mesh.volume > 0):
            raise RuntimeError(
                "the sealed template is not a closed, outward surface of "
                "genus 0: another version of anny? (0.6.2 works)"
            )

    def _sealed(self, values, *, inner=False):
        """Values (n, q) at the model's vertices -> at the sealed body's, and after these at the cavities'."""
        kept = values[self.used]
        sealed = np.concatenate([kept, [kept[rim].mean(axis=0) for rim in self.rims]])
        return np.concatenate([sealed, values[self.inner]]) if inner else sealed

    def shape(self, phenotypes, pose, *, inner=False):
        """Vertices (n, 3) of one body in metres, standing on z = 0, and the same in the rest pose.

        With `inner` those of the cavities follow, for `faces_with_cavities`.
        """
        import torch

        kwargs = dict(zip(PHENOTYPES, phenotypes, strict=True))
        rest = self.model(phenotype_kwargs=kwargs)
        heads = rest["bone_poses"][0, :, :3, 3].numpy()
        deltas = torch.eye(4, dtype=rest["vertices"].dtype).repeat(1, len(self.bones), 1, 1)
        for bone, rotation in self._rotations(pose, heads).items():
            deltas[0, self.bones[bone], :3, :3] = torch.from_numpy(rotation.as_matrix())
        turned = self.model(pose_parameters=deltas, phenotype_kwargs=kwargs)["vertices"][0].numpy()
        posed = self._sealed(turned, inner=inner)
        ground = np.array([*posed.mean(axis=0)[:2], posed[:, 2].min()])
        return posed - ground, self._sealed(rest["vertices"][0].numpy(), inner=inner)

    def _rotations(self, pose, heads):
        """Bone name -> rotation in world axes relative to the parent, for a pose of `tables.py`."""
        turned = {"root": bend(pose.get("root", (0, 0, 0)))}
        for part, chain in CHAINS.items():
            turned |= spread(bend(pose.get(part, (0, 0, 0))), dict.fromkeys(chain, 1 / len(chain)))
        for side, sign in (("L", 1), ("R", -1)):
            key = side.lower()
            raise_, forward, swing = pose.get(f"{key}arm", (0, 0, 0))
            arm = Rotation.from_euler("yzx", (-sign * raise_, -sign * forward, -swing), degrees=True)
            turned |= spread(arm, {f"shoulder01.{side}": 0.25, f"upperarm01.{side}": 0.75})
            hinge = np.cross(
                *np.diff(heads[[self.bones[f"{b}.{side}"] for b in ("upperarm01", "lowerarm01", "wrist")]], axis=0)
            )
            turned[f"lowerarm01.{side}"] = Rotation.from_rotvec(
                np.deg2rad(pose.get(f"{key}elbow", 0)) * hinge / np.linalg.norm(hinge)
            )
            flexion, abduction, out = pose.get(f"{key}hip", (0, 0, 0))
            turned[f"upperleg01.{side}"] = Rotation.from_euler(
                "zxy", (sign * out, -flexion, -sign * abduction), degrees=True
            )
            turned[f"lowerleg01.{side}"] = Rotation.from_euler("x", pose.get(f"{key}knee", 0), degrees=True)
            turned |= self._finer(pose, heads, side, sign)
        return turned

    def _finer(self, pose, heads, side, sign):
        """Rotations of what the poses of `tables.py` leave at rest: roll of the arm, wrist, foot, fingers."""
        key, turned = side.lower(), {}

        def head(bone):
            return heads[self.bones[f"{bone}.{side}"]]

        if f"{key}roll" in pose:
            axis = head("lowerarm01") - head("upperarm01")
            turned[f"upperarm02.{side}"] = about(axis, sign * pose[f"{key}roll"])
        for part in ("wrist", "foot"):
            if f"{key}{part}" in pose:
                pitch, roll, yaw = pose[f"{key}{part}"]
                turned[f"{part}.{side}"] = Rotation.from_euler("xyz", (pitch, sign * roll, sign * yaw), degrees=True)
        if pose.get(f"{key}fist"):
            palm = np.cross(head("finger3-1") - head("wrist"), head("finger2-1") - head("finger5-1"))
            for finger in range(2, 6):
                along = head(f"finger{finger}-3") - head(f"finger{finger}-1")
                for joint, angle in ((1, 65), (2, 80), (3, 50)):
                    bent = about(np.cross(sign * palm, along), angle * pose[f"{key}fist"])
                    turned[f"finger{finger}-{joint}.{side}"] = bent
        return turned


def about(axis, degrees):
    """Rotation about an axis of any length."""
    return Rotation.from_rotvec(np.deg2rad(degrees) * axis / np.linalg.norm(axis))


def bend(angles):
    """(forward, left, twist to the left) in degrees -> rotation."""
    forward, left, twist = angles
    return Rotation.from_euler("zyx", (twist, left, forward), degrees=True)


def spread(rotation, shares):
    """One rotation divided over a chain of bones: bone -> its share."""
    return {bone: Rotation.from_rotvec(share * rotation.as_rotvec()) for bone, share in shares.items()}


def mirrored(pose):
    """The pose seen in a mirror: left and right limbs change places, sideways angles change sign."""
    swap = {"l": "r", "r": "l"}
    limbs = ("arm", "elbow", "hip", "knee", "roll", "wrist", "foot", "fist")
    out = {}
    for key, value in pose.items():
        if key[1:] in limbs:
            out[swap[key[0]] + key[1:]] = value
        else:
            out[key] = (value[0], -value[1], -value[2])
    return out


def jittered(pose, degrees, rng):
    """The pose with every angle it names (and the spine and neck) moved by a normal deviate."""
    full = {"spine": (0, 0, 0), "neck": (0, 0, 0)} | pose
    return {
        key: tuple(np.add(v, rng.normal(0, degrees, 3))) if np.ndim(v) else v + rng.normal(0, degrees)
        for key, v in full.items()
    }
