"""Where VSD gets its depth images from: the measured ones, and those of an object alone."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from casapose_ros.data.bop import BopFrame
from casapose_ros.data.meshes import load_mesh, mesh_file_name
from casapose_ros.errors import RenderError
from casapose_ros.evaluation.datasets import frame_name, models_folder
from casapose_ros.evaluation.matching import Reference
from casapose_ros.types import CameraModel

RenderDepth = Callable[[str, np.ndarray, np.ndarray, CameraModel], np.ndarray]
"""The depth of one object alone: from its name, ``R_cam_obj`` (3, 3), ``t_cam_obj`` (3,) in metres
and the camera to (H, W) metres, 0 where it is not. For example ``DepthRenderer(meshes).render``."""


@dataclass(frozen=True)
class DepthSource:
    """What VSD needs besides the poses.

    Attributes:
        measured: The depth image of a frame by the frame's name: (H, W) metres, 0 where the sensor
            saw nothing; None if the frame has none.
        render: See ``RenderDepth``.
    """

    measured: Callable[[str], np.ndarray | None]
    render: RenderDepth


def measured_depth(frames: Iterable[BopFrame]) -> Callable[[str], np.ndarray | None]:
    """The depth images of a BOP data set by the name of the frame, read when they are asked for.

    Args:
        frames: All frames that may be asked for; of others there is no depth.
    """
    by_name = {frame_name(frame): frame for frame in frames if frame.depth_path is not None}

    def measured(name: str) -> np.ndarray | None:
        return by_name[name].load_depth() if name in by_name else None

    return measured


@contextmanager
def open_depth(
    dataset: Path, frames: Sequence[BopFrame], references: Mapping[str, Reference]
) -> Iterator[DepthSource | None]:
    """The depth images of a BOP data set, with a renderer that lives as long as the context.

    Args:
        dataset: The data set's folder.
        frames: Its frames.
        references: By name, every known object.

    Yields:
        None if no frame has depth.

    Raises:
        MeshError: A mesh is missing or bad.
        RenderError: There is no OpenGL on this machine, or moderngl is not installed.
    """
    if all(frame.depth_path is None for frame in frames):
        yield None
        return
    # Not earlier: it needs OpenGL, which a data set without depth does not.
    try:
        from casapose_ros.data.depth_rendering import DepthRenderer
    except ModuleNotFoundError as error:
        raise RenderError(
            f"the BOP error VSD needs {error.name}: pip install 'casapose_ros[render]', or leave "
            "VSD out with --no-vsd"
        ) from error

    present = {true.bop_id for frame in frames for true in frame.objects}
    meshes = {
        name: load_mesh(models_folder(dataset) / mesh_file_name(reference.model.bop_id), "mm")
        for name, reference in references.items()
        if reference.model.bop_id in present
    }
    try:
        renderer = DepthRenderer(meshes)
    except RenderError as error:
        raise RenderError(f"{error}; or leave the BOP error VSD out with --no-vsd") from error
    with renderer:
        yield DepthSource(measured_depth(frames), renderer.render)
