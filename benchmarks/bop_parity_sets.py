"""Data sets and estimates for ``bop_parity.py``, written as BOP's own files.

The toolkit knows data sets by name alone, so the made ones borrow the names, image sizes and
object numbers of real ones: ``tudl`` has one instance of each of three symmetric solids per image,
``tless`` several instances, of which fewer are asked for, with ties in visibility and in score.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
from scipy.spatial.distance import pdist
from solid_sets import Render, solid_renderer, write_depth, write_models, write_scenes

from casapose_ros.data.bop import BopDataset, BopFrame
from casapose_ros.data.models_info import read_models_info
from casapose_ros.geometry import rotation_from_vector
from casapose_ros.types import CameraModel, Symmetries

ERROR_SCALES = ((0.5, 1), (3, 6), (10, 20), (40, 60))
"""Standard deviations of the estimates' errors: degrees about each axis, and mm along it."""
TARGETS_FILE = "test_targets_bop19.json"
Images = dict[tuple[int, int], list[dict[str, Any]]]
"""True objects in BOP's form, with their visibility, by scene and image."""


@dataclass(frozen=True)
class ParitySet:
    """A data set with estimates.

    Attributes:
        title: For the table.
        path: Its folder, with the toolkit's name for its layout.
        split: Folder with its images.
        render: Draws the depth of an object by its name.
        results: The file with the estimates.
        size: (width, height) of its images, px.
        points: Of a made set: (N, 3) mm by object, whose convex hulls the objects are.
        goes_into_golden: Whether its numbers are kept.
    """

    title: str
    path: Path
    split: str
    render: Render
    results: Path = Path()
    size: tuple[int, int] = (640, 480)
    points: dict[int, np.ndarray] = field(default_factory=dict)
    goes_into_golden: bool = True

    @property
    def name(self) -> str:
        """The toolkit's name for its layout."""
        return self.path.name


def make_turned_solids(root: Path, rng: np.random.Generator) -> ParitySet:
    """One instance of each solid per image."""
    camera = CameraModel(np.array([[520.0, 0, 318.3], [0, 525, 241.7], [0, 0, 1]]), 640, 480)
    images = {
        (scene, image): [
            _truth(bop_id, 0.15 * (bop_id - 2), rng.uniform(0.02, 1), rng) for bop_id in (1, 2, 3)
        ]
        for scene in (1, 2)
        for image in (4, 11, 30, 31, 52)
    }
    title = "solids, one instance each"
    return _write(title, root / "tudl", "test", _solids(), camera, 1.0, images, rng)


def make_crowd(root: Path, rng: np.random.Generator) -> ParitySet:
    """Several instances per image, in images 720 px wide with depth in tenths of a millimetre."""
    camera = CameraModel(np.array([[640.0, 0, 351.2], [0, 640, 265.4], [0, 0, 1]]), 720, 540)
    images = {
        (scene, image): [
            _truth(bop_id, rng.uniform(-0.3, 0.3), round(rng.uniform(0, 1), 1), rng)
            for bop_id in rng.choice([1, 2, 3], 9)
        ]
        for scene in (1, 2)
        for image in (0, 7, 8)
    }
    solids = _solids()
    # The toolkit wants all thirty objects of this data set to be there.
    every = {bop_id: solids.get(bop_id, solids[3]) for bop_id in range(1, 31)}
    title, split = "solids, many instances", "test_primesense"
    return _write(title, root / "tless", split, every, camera, 0.1, images, rng)


def make_lmo(root: Path, lmo: Path, render: Render, rng: np.random.Generator) -> ParitySet:
    """LM-O with depth images that are made from its ground truth, as those here have none."""
    path = root / "lmo"
    for original in (lmo / "models_eval", lmo / TARGETS_FILE, *(lmo / "test").glob("*/*")):
        link = path / original.relative_to(lmo)
        link.parent.mkdir(parents=True, exist_ok=True)
        link.symlink_to(original.resolve())
    write_depth(path, "test", render)
    return with_estimates(ParitySet("LM-O, 20 photos", path, "test", render), rng, 1)


def with_estimates(parity_set: ParitySet, rng: np.random.Generator, number: int) -> ParitySet:
    """The same set with other estimates; only those of number 1 go into the golden."""
    path = parity_set.path
    targets = json.loads((path / TARGETS_FILE).read_text())
    infos = read_models_info(path / "models_eval" / "models_info.json")
    symmetries = {bop_id: info.symmetries for bop_id, info in infos.items()}
    asked_for = sorted({target["obj_id"] for target in targets})
    lines = ["scene_id,im_id,obj_id,score,R,t,time"]
    for frame in BopDataset(path, parity_set.split):
        lines += _estimates(frame, symmetries, asked_for, rng)
    results = path.parent / f"spoiled{number}_{parity_set.name}-test.csv"
    results.write_text("\n".join(lines) + "\n")
    return replace(parity_set, results=results, goes_into_golden=number == 1)


def _solids() -> dict[int, tuple[np.ndarray, dict[str, Any]]]:
    """A can (any turn, and upside down) beside its origin, a bucket (any turn) and a brick.

    By BOP id: points in mm, and symmetries as in ``models_info.json``.
    """
    turn = np.linspace(0, 2 * np.pi, 32, endpoint=False)
    ring = np.stack([np.cos(turn), np.sin(turn), 0 * turn], axis=1)
    centre = np.array([20.0, -10, 15])
    can = np.concatenate([40 * ring + [0, 0, z] for z in (-50, 50)]) + centre
    flip = np.diag([1.0, -1, -1, 1])
    flip[:3, 3] = centre - flip[:3, :3] @ centre
    bucket = np.concatenate([30 * ring, 45 * ring + [0, 0, 70]])
    brick = np.array([[x, y, z] for x in (-60.0, 60) for y in (-40.0, 40) for z in (-30.0, 30)])
    turns = [{"axis": [0, 0, 1], "offset": offset} for offset in (centre.tolist(), [0, 0, 0])]
    flips = [flip.ravel().tolist()]
    return {
        1: (can.round(3), {"symmetries_continuous": turns[:1], "symmetries_discrete": flips}),
        2: (bucket.round(3), {"symmetries_continuous": turns[1:]}),
        3: (brick, {}),
    }


def _truth(bop_id: int, x: float, visibility: float, rng: np.random.Generator) -> dict[str, Any]:
    """Somewhere in front of the camera, in BOP's form."""
    z = rng.uniform(0.7, 1.2)
    t = 1000 * np.array([x * z, rng.uniform(-0.2, 0.2) * z, z])
    R = rotation_from_vector(rng.normal(size=3))
    return {
        "obj_id": int(bop_id),
        "cam_R_m2c": R.round(6).ravel().tolist(),
        "cam_t_m2c": t.round(3).tolist(),
        "visib_fract": round(float(visibility), 3),
    }


def _write(
    title: str,
    path: Path,
    split: str,
    solids: dict[int, tuple[np.ndarray, dict[str, Any]]],
    camera: CameraModel,
    depth_scale: float,
    images: Images,
    rng: np.random.Generator,
) -> ParitySet:
    """Write a made set with its estimates."""
    points = {bop_id: vertices for bop_id, (vertices, _) in solids.items()}
    infos = {bop_id: _info(*solid) for bop_id, solid in solids.items()}
    write_models(path / "models_eval", points, infos)
    entry = {"cam_K": camera.K.ravel().tolist(), "depth_scale": depth_scale}
    scenes: dict[str, dict[str, Any]] = {}
    for (scene, image), truths in images.items():
        files = scenes.setdefault(f"{scene:06d}", {})
        files.setdefault("scene_camera", {})[image] = entry
        files.setdefault("scene_gt", {})[image] = truths
        visible = [{"visib_fract": truth["visib_fract"]} for truth in truths]
        files.setdefault("scene_gt_info", {})[image] = visible
    write_scenes(path / split, scenes, camera.width, camera.height)
    render = solid_renderer(points)
    write_depth(path, split, render)
    (path / TARGETS_FILE).write_text(json.dumps(_targets(images, rng)))
    size = (camera.width, camera.height)
    made = ParitySet(title, path, split, render, size=size, points=points)
    return with_estimates(made, rng, 1)


def _info(points: np.ndarray, symmetries: dict[str, Any]) -> dict[str, Any]:
    """An object's entry in ``models_info.json``."""
    info = {"diameter": float(pdist(points).max())}
    for axis, values in zip("xyz", points.T, strict=True):
        info |= {f"min_{axis}": float(values.min()), f"size_{axis}": float(np.ptp(values))}
    return info | symmetries


def _targets(images: Images, rng: np.random.Generator) -> list[dict[str, int]]:
    """Fewer instances than there are, as many, or more; one object in eight is not asked for."""
    targets = []
    for (scene, image), truths in images.items():
        for bop_id, count in sorted(Counter(truth["obj_id"] for truth in truths).items()):
            asked = max(1, count - int(rng.choice([2, 1, 1, 0, -1])))
            if rng.random() > 1 / 8:
                target = {"scene_id": scene, "im_id": image, "obj_id": bop_id, "inst_count": asked}
                targets.append(target)
    return targets


def _estimates(
    frame: BopFrame,
    symmetries: dict[int, Symmetries],
    asked_for: Sequence[int],
    rng: np.random.Generator,
) -> list[str]:
    """Lines of a results file: true poses spoiled, missed, twice, of other and absent objects."""
    found = []
    for true in frame.objects:
        if rng.random() < 0.15:
            continue  # missed
        R, t = _spoiled(true.R_cam_obj, true.t_cam_obj, symmetries[true.bop_id], rng)
        bop_id = true.bop_id if rng.random() > 0.08 else rng.choice(asked_for)
        found += [(bop_id, R, t)] * (1 + (rng.random() < 0.2))
    for bop_id in rng.choice(asked_for, 2):  # whether or not it is in the image
        R = rotation_from_vector(rng.normal(size=3))
        found.append((bop_id, R, np.array([*rng.uniform(-0.4, 0.4, 2), 0.9])))
    time = round(rng.uniform(0.1, 0.4), 3)
    lines = []
    for bop_id, R, t in (found[i] for i in rng.permutation(len(found))):
        ids = (frame.scene_id, frame.image_id, bop_id, round(rng.uniform(0, 1), 1))
        texts = (" ".join(f"{v:.6g}" for v in array.ravel()) for array in (R, 1000 * t))
        lines.append(",".join(map(str, (*ids, *texts, time))))
    return lines


def _spoiled(R: np.ndarray, t: np.ndarray, symmetries: Symmetries, rng: np.random.Generator):
    """The true pose after a random symmetry, mostly with an error; rarely something absurd."""
    if len(symmetries.discrete) and rng.random() < 0.5:
        flip = symmetries.discrete[0]
        R, t = R @ flip[:3, :3], t + R @ flip[:3, 3]
    for axis, offset in symmetries.continuous:
        turn = rotation_from_vector(rng.uniform(0, 2 * np.pi) * axis)
        R, t = R @ turn, t + R @ (offset - turn @ offset)
    kind = rng.random()
    if kind < 0.1:
        return R, t
    if kind < 0.13:
        return R, -t  # behind the camera
    if kind < 0.16:
        return R, t * 3  # the right place in the image, much too far
    degrees, mm = ERROR_SCALES[rng.integers(len(ERROR_SCALES))]
    wobble = rotation_from_vector(np.radians(rng.normal(0, degrees, 3)))
    return wobble @ R, t + rng.normal(0, mm / 1000, 3)
