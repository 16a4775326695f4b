"""Messages of our bags made from images, cameras and poses, without ROS."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import cv2
import numpy as np
from scipy.spatial.transform import Rotation

from casapose_ros.bags.message_types import (
    CAMERA_INFO,
    COMPRESSED_IMAGE,
    IMAGE,
    NANOSECONDS,
    OBJECT_POSE_ARRAY,
    TF,
    make,
)
from casapose_ros.image_messages import info_fields
from casapose_ros.types import CameraModel, ObjectPose

COMPRESSIONS = {"jpeg": (".jpg", [cv2.IMWRITE_JPEG_QUALITY, 95]), "png": (".png", [])}
"""What OpenCV needs to know to compress an image."""


def header(stamp: int, frame_id: str) -> Any:
    """A ``std_msgs/Header``; the stamp is in nanoseconds."""
    time = make(
        "builtin_interfaces/msg/Time", sec=stamp // NANOSECONDS, nanosec=stamp % NANOSECONDS
    )
    return make("std_msgs/msg/Header", stamp=time, frame_id=frame_id)


def image(head: Any, rgb: np.ndarray) -> Any:
    """A ``sensor_msgs/Image`` of an (H, W, 3) uint8 RGB image."""
    height, width = rgb.shape[:2]
    return make(
        IMAGE,
        header=head,
        height=height,
        width=width,
        encoding="rgb8",
        is_bigendian=0,
        step=3 * width,
        data=np.ascontiguousarray(rgb).reshape(-1),
    )


def compressed_image(head: Any, data: bytes, kind: str) -> Any:
    """A ``sensor_msgs/CompressedImage`` of a JPEG or PNG file; ``kind`` is which of them."""
    return make(
        COMPRESSED_IMAGE,
        header=head,
        # As image_transport calls them: the camera's encoding, and that of the file.
        format=f"rgb8; {kind} compressed bgr8",
        data=np.frombuffer(data, dtype=np.uint8),
    )


def compress(rgb: np.ndarray, kind: str) -> bytes:
    """An (H, W, 3) uint8 RGB image as a ``jpeg`` or ``png`` file."""
    suffix, options = COMPRESSIONS[kind]
    _, data = cv2.imencode(suffix, cv2.cvtColor(rgb, cv2.COLOR_RGB2BGR), options)
    return data.tobytes()


def camera_info(head: Any, camera: CameraModel) -> Any:
    """A ``sensor_msgs/CameraInfo`` of the unrectified image."""
    fields = {
        name: np.array(value, dtype=np.float64) if isinstance(value, list) else value
        for name, value in info_fields(camera).items()
    }
    roi = make(
        "sensor_msgs/msg/RegionOfInterest",
        x_offset=0,
        y_offset=0,
        height=0,
        width=0,
        do_rectify=False,
    )
    return make(CAMERA_INFO, header=head, binning_x=0, binning_y=0, roi=roi, **fields)


def ground_truth(head: Any, objects: Sequence[ObjectPose]) -> Any:
    """An ``ObjectPoseArray``; that it names no model tells it from a model's answer."""
    return make(
        OBJECT_POSE_ARRAY,
        header=head,
        model_name="",
        inference_time=make("builtin_interfaces/msg/Duration", sec=0, nanosec=0),
        objects=[_object_pose(found) for found in objects],
    )


def transforms(head: Any, objects: Sequence[ObjectPose], prefix: str) -> Any:
    """A ``TFMessage`` with one frame per object below the camera's: ``<prefix><name>``.

    Further instances of an object end in ``_1``, ``_2``, as the node calls them.
    """
    return make(TF, transforms=[_transform(head, found, prefix) for found in objects])


def _object_pose(found: ObjectPose) -> Any:
    pose = make(
        "geometry_msgs/msg/Pose",
        position=_vector("Point", found.t_cam_obj),
        orientation=_quaternion(found.R_cam_obj),
    )
    return make(
        "casapose_ros/msg/ObjectPose",
        name=found.name,
        class_id=found.class_id,
        instance_id=found.instance_id,
        score=float(found.score),
        pose=make(
            "geometry_msgs/msg/PoseWithCovariance",
            pose=pose,
            covariance=np.asarray(found.covariance, dtype=np.float64).reshape(36),
        ),
        keypoints=np.asarray(found.keypoints, dtype=np.float64).reshape(-1),
        keypoint_covariances=np.asarray(found.keypoint_covariances, dtype=np.float64).reshape(-1),
        box=np.array(found.box, dtype=np.float64),
        visible_pixels=int(found.visible_pixels),
    )


def _transform(head: Any, found: ObjectPose, prefix: str) -> Any:
    instance = f"_{found.instance_id}" if found.instance_id else ""
    return make(
        "geometry_msgs/msg/TransformStamped",
        header=head,
        child_frame_id=f"{prefix}{found.name}{instance}",
        transform=make(
            "geometry_msgs/msg/Transform",
            translation=_vector("Vector3", found.t_cam_obj),
            rotation=_quaternion(found.R_cam_obj),
        ),
    )


def _vector(kind: str, values: np.ndarray) -> Any:
    x, y, z = np.asarray(values, dtype=np.float64).tolist()
    return make(f"geometry_msgs/msg/{kind}", x=x, y=y, z=z)


def _quaternion(R: np.ndarray) -> Any:
    x, y, z, w = Rotation.from_matrix(R).as_quat().tolist()
    return make("geometry_msgs/msg/Quaternion", x=x, y=y, z=z, w=w)
