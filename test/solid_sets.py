"""BOP data sets of convex solids whose depth images are exact: their files follow from few numbers.

``benchmarks/bop_parity.py`` shows such sets to the BOP toolkit too.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from convex_depth import ConvexSolid, scene_depth
from scipy.spatial import ConvexHull

from casapose_ros.data.bop import BopDataset
from casapose_ros.types import CameraModel

Render = Callable[[str, np.ndarray, np.ndarray, CameraModel], np.ndarray]
MM_PER_M = 1000.0


def write_models(
    folder: Path, points: Mapping[int, np.ndarray], infos: Mapping[int, dict[str, Any]]
) -> None:
    """Write the convex hull of (N, 3) points in mm per object, and ``models_info.json``."""
    folder.mkdir(parents=True)
    for bop_id, vertices in points.items():
        faces = ConvexHull(vertices).simplices
        header = ["ply", "format ascii 1.0", f"element vertex {len(vertices)}"]
        header += [f"property double {axis}" for axis in "xyz"] + [f"element face {len(faces)}"]
        header += ["property list uchar int vertex_indices", "end_header"]
        rows = [" ".join(map(repr, row)) for row in np.asarray(vertices, dtype=float).tolist()]
        rows += [" ".join(map(str, (3, *row))) for row in faces.tolist()]
        (folder / f"obj_{bop_id:06d}.ply").write_text("\n".join(header + rows) + "\n")
    (folder / "models_info.json").write_text(json.dumps(dict(infos)))


def write_scenes(
    split: Path, scenes: Mapping[str, Mapping[str, Any]], width: int, height: int
) -> None:
    """Write grey images and the files ``scene_gt`` and so on, given by scene folder and name."""
    grey = np.full((height, width), 90, np.uint8)
    for scene, files in scenes.items():
        (split / scene / "rgb").mkdir(parents=True)
        for name, content in files.items():
            (split / scene / f"{name}.json").write_text(json.dumps(content))
        for image in files["scene_gt"]:
            cv2.imwrite(str(split / scene / "rgb" / f"{int(image):06d}.png"), grey)


def write_depth(dataset: Path, split: str, render: Render) -> None:
    """Write what a sensor might see of the true objects, into the folders of a data set."""
    for frame in BopDataset(dataset, split):
        depths = [
            render(f"obj_{true.bop_id:06d}", true.R_cam_obj, true.t_cam_obj, frame.camera)
            for true in frame.objects
        ]
        units = np.rint(scene_depth(depths, frame.camera) * MM_PER_M / frame.depth_scale)
        folder = dataset / split / f"{frame.scene_id:06d}" / "depth"
        folder.mkdir(exist_ok=True)
        cv2.imwrite(str(folder / f"{frame.image_id:06d}.png"), units.astype(np.uint16))


def solid_renderer(points: Mapping[int, np.ndarray]) -> Render:
    """What draws the depth of the solids, given as for :func:`write_models`, by BOP's names."""
    solids = {
        f"obj_{bop_id:06d}": ConvexSolid(np.asarray(vertices) / MM_PER_M)
        for bop_id, vertices in points.items()
    }

    def render(name: str, R: np.ndarray, t: np.ndarray, camera: CameraModel) -> np.ndarray:
        return solids[name].depth(R, t, camera)

    return render
