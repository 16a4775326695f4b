"""Estimates in the BOP benchmark's results format, for its server and other tools."""

from __future__ import annotations

import csv
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from casapose_ros.types import ObjectPose

HEADER = ("scene_id", "im_id", "obj_id", "score", "R", "t", "time")
MM_PER_M = 1000.0


@dataclass(frozen=True)
class FrameResult:
    """What the model found in one image of a BOP data set.

    Attributes:
        scene_id: Number of the scene.
        image_id: Number of the image in the scene.
        poses: Estimates, best score first.
        times: Seconds per stage.
    """

    scene_id: int
    image_id: int
    poses: tuple[ObjectPose, ...]
    times: dict[str, float]

    @property
    def name(self) -> str:
        """The image as ``scene/image``, in BOP's six digits."""
        return f"{self.scene_id:06d}/{self.image_id:06d}"


def write_bop_csv(results: Iterable[FrameResult], bop_ids: dict[str, int], path: Path) -> None:
    """Write one line per estimate: rotation row by row, translation in millimetres.

    Args:
        results: Images in any order.
        bop_ids: BOP id by object name.
        path: The file; existing content is replaced.
    """
    with path.open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(HEADER)
        for result in results:
            # The format wants the time of the whole image on each of its lines.
            time = f"{sum(result.times.values()):.6f}"
            for pose in result.poses:
                key = (result.scene_id, result.image_id, bop_ids[pose.name])
                R = " ".join(f"{value:.9g}" for value in pose.R_cam_obj.ravel())
                t = " ".join(f"{value * MM_PER_M:.9g}" for value in pose.t_cam_obj)
                writer.writerow((*key, f"{pose.score:.6f}", R, t, time))
