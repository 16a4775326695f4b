"""Bags made of what was not recorded by ROS: BOP data sets and image files."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np

from casapose_ros import geometry
from casapose_ros.bags import message_types as types
from casapose_ros.bags import messages
from casapose_ros.bags.truths import mesh_name
from casapose_ros.bags.writing import BagWriter
from casapose_ros.data.bop import BopFrame, GroundTruth
from casapose_ros.errors import ConfigError, ImageError
from casapose_ros.image_messages import check_size
from casapose_ros.types import CameraModel, ObjectModel, ObjectPose

IMAGE_TOPIC = "/image"
COMPRESSED_TOPIC = "/image/compressed"
INFO_TOPIC = "/camera_info"
TRUTH_TOPIC = "/camera/ground_truth"
"""The names under which ``camera_node`` publishes the same."""
TF_PREFIX = "ground_truth/"
"""Keeps the true frames apart from those that a pose node publishes beside them."""

FIRST_STAMP = 10**18
"""Nanoseconds of the first image, in 2001: fixed, so that the same data make the same bag."""
FILE_SUFFIXES = {"jpeg": (".jpg", ".jpeg"), "png": (".png",)}


@dataclass(frozen=True)
class RecordingOptions:
    """How images become a recording.

    Attributes:
        rate: Images per second.
        frame_id: The camera's optical frame.
        compressed: ``jpeg`` or ``png``; raw images if None.

    Raises:
        ConfigError: The rate makes no sense.
    """

    rate: float = 10.0
    frame_id: str = "camera_optical_frame"
    compressed: str | None = None

    def __post_init__(self) -> None:
        if not 0.001 <= self.rate <= 10000:
            raise ConfigError(f"the rate must be 0.001 to 10000 images per second, got {self.rate}")


@dataclass(frozen=True)
class Shot:
    """One image to record.

    Attributes:
        path: Its file.
        camera: Its camera.
        truth: What it shows, with the visible fraction as score; None if that is not known.
    """

    path: Path
    camera: CameraModel
    truth: tuple[ObjectPose, ...] | None = None


def record(writer: BagWriter, shots: Iterable[Shot], options: RecordingOptions) -> int:
    """Write images with calibration, and with true poses and transforms where they are known.

    Returns:
        The number of images.

    Raises:
        ImageError: A file is no image.
        CameraError: An image has another size than its camera.
        OutputError: The bag cannot be written.
    """
    count = 0
    for count, shot in enumerate(shots, start=1):
        stamp = FIRST_STAMP + round((count - 1) * types.NANOSECONDS / options.rate)
        head = messages.header(stamp, options.frame_id)
        # The truth and the calibration go first, as from camera_node: who gets the image then
        # has them already.
        if shot.truth is not None:
            truth = messages.ground_truth(head, shot.truth)
            writer.write(TRUTH_TOPIC, types.OBJECT_POSE_ARRAY, stamp, truth)
            tf = messages.transforms(head, shot.truth, TF_PREFIX)
            writer.write("/tf", types.TF, stamp, tf)
        info = messages.camera_info(head, shot.camera)
        writer.write(INFO_TOPIC, types.CAMERA_INFO, stamp, info)
        _write_image(writer, shot, stamp, head, options.compressed)
    return count


def bop_shots(frames: Iterable[BopFrame], objects: Sequence[ObjectModel]) -> Iterator[Shot]:
    """The frames of a BOP data set.

    Args:
        frames: The frames.
        objects: What a model knows. Its objects are called by their names and have keypoints;
            others are called after their mesh files, for example ``obj_000005``.
    """
    known = {obj.bop_id: obj for obj in objects}
    for frame in frames:
        counts: dict[int, int] = {}
        truth = []
        for true in frame.objects:
            instance = counts.get(true.bop_id, 0)
            counts[true.bop_id] = instance + 1
            truth.append(_as_pose(true, known.get(true.bop_id), instance, frame.camera))
        truth.sort(key=lambda pose: -pose.score)
        yield Shot(frame.image_path, frame.camera, tuple(truth))


def _write_image(
    writer: BagWriter, shot: Shot, stamp: int, head: object, compressed: str | None
) -> None:
    data, rgb = _read(shot)
    if compressed is None:
        writer.write(IMAGE_TOPIC, types.IMAGE, stamp, messages.image(head, rgb))
        return
    # A file of the wanted kind goes in as it is: compressed again, a JPEG would lose again.
    if shot.path.suffix.lower() not in FILE_SUFFIXES[compressed]:
        data = messages.compress(rgb, compressed)
    message = messages.compressed_image(head, data, compressed)
    writer.write(COMPRESSED_TOPIC, types.COMPRESSED_IMAGE, stamp, message)


def _read(shot: Shot) -> tuple[bytes, np.ndarray]:
    """A file's bytes, and its (H, W, 3) uint8 RGB image."""
    try:
        data = shot.path.read_bytes()
    except OSError as error:
        raise ImageError(f"{shot.path}: cannot be read: {error.strerror}") from error
    bgr = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR) if data else None
    if bgr is None:
        raise ImageError(f"{shot.path}: no image that OpenCV can read")
    try:
        check_size(shot.camera, bgr)
    except ValueError as error:
        raise type(error)(f"{shot.path}: {error}") from error
    return data, cv2.cvtColor(bgr, cv2.COLOR_BGR2RGB)


def _as_pose(
    true: GroundTruth, model: ObjectModel | None, instance: int, camera: CameraModel
) -> ObjectPose:
    """The truth in the form of an answer; what the data set does not say is 0."""
    left, top, width, height = true.bbox_visib if true.px_count_visib else (0, 0, 0, 0)
    points = np.zeros((0, 3)) if model is None else model.keypoints
    return ObjectPose(
        name=mesh_name(true.bop_id) if model is None else model.name,
        class_id=true.bop_id if model is None else model.class_id,
        instance_id=instance,
        # Two drawings of one silhouette may differ by a pixel: visible by 100.01 %.
        score=1.0 if true.visib_fract is None else min(true.visib_fract, 1.0),
        R_cam_obj=true.R_cam_obj,
        t_cam_obj=true.t_cam_obj,
        covariance=np.zeros((6, 6)),
        keypoints=geometry.project(points, true.R_cam_obj, true.t_cam_obj, camera),
        keypoint_covariances=np.zeros((len(points), 2, 2)),
        box=(left, top, left + width, top + height),
        visible_pixels=true.px_count_visib or 0,
        reprojection_error=0.0,
    )
