"""What leaves as poses: object poses as the messages that other nodes understand.

The header is the image's everywhere: the poses hold at its stamp, in its frame.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import tf_transformations
from builtin_interfaces.msg import Duration
from geometry_msgs.msg import (
    Point,
    Pose,
    PoseArray,
    PoseWithCovariance,
    Quaternion,
    TransformStamped,
    Vector3,
)
from std_msgs.msg import Header
from tf2_msgs.msg import TFMessage
from vision_msgs.msg import (
    BoundingBox3D,
    Detection3D,
    Detection3DArray,
    ObjectHypothesis,
    ObjectHypothesisWithPose,
)

from casapose_ros import geometry
from casapose_ros.msg import ObjectPose as ObjectPoseMessage
from casapose_ros.msg import ObjectPoseArray
from casapose_ros.types import ObjectModel, ObjectPose


def quaternion(R: np.ndarray) -> Quaternion:
    """Unit quaternion of a (3, 3) rotation."""
    matrix = np.eye(4)
    matrix[:3, :3] = R
    xyzw = np.asarray(tf_transformations.quaternion_from_matrix(matrix), dtype=np.float64)
    x, y, z, w = (xyzw / np.linalg.norm(xyzw)).tolist()
    return Quaternion(x=x, y=y, z=z, w=w)


def rotation_matrix(q: Quaternion) -> np.ndarray:
    """(3, 3) rotation of a unit quaternion."""
    return tf_transformations.quaternion_matrix([q.x, q.y, q.z, q.w])[:3, :3]


def point(p: np.ndarray) -> Point:
    """A (3,) point in metres."""
    x, y, z = np.asarray(p, dtype=np.float64).tolist()
    return Point(x=x, y=y, z=z)


def pose(R: np.ndarray, t: np.ndarray) -> Pose:
    """A (3, 3) rotation and a (3,) translation in metres."""
    return Pose(position=point(t), orientation=quaternion(R))


def pose_array(objects: Sequence[ObjectPose], header: Header) -> PoseArray:
    """The poses alone, best score first."""
    return PoseArray(header=header, poses=[pose(o.R_cam_obj, o.t_cam_obj) for o in objects])


def object_pose_array(
    objects: Sequence[ObjectPose], header: Header, model_name: str = "", seconds: float = 0.0
) -> ObjectPoseArray:
    """Everything known about the objects; ``seconds`` is the time from image to poses."""
    nanoseconds = round(seconds * 1e9)
    return ObjectPoseArray(
        header=header,
        model_name=model_name,
        inference_time=Duration(sec=nanoseconds // 10**9, nanosec=nanoseconds % 10**9),
        objects=[_object_pose(o) for o in objects],
    )


def object_pose_from_message(message: ObjectPoseMessage) -> ObjectPose:
    """The inverse of :func:`object_pose_array` for one object.

    The reprojection error is not in the message and comes back as NaN.
    """
    p = message.pose.pose.position
    return ObjectPose(
        name=message.name,
        class_id=message.class_id,
        instance_id=message.instance_id,
        score=message.score,
        R_cam_obj=rotation_matrix(message.pose.pose.orientation),
        t_cam_obj=np.array([p.x, p.y, p.z]),
        covariance=np.array(message.pose.covariance).reshape(6, 6),
        keypoints=np.array(message.keypoints).reshape(-1, 2),
        keypoint_covariances=np.array(message.keypoint_covariances).reshape(-1, 2, 2),
        box=tuple(message.box),
        visible_pixels=message.visible_pixels,
        reprojection_error=float("nan"),
    )


def detection_array(
    objects: Sequence[ObjectPose], header: Header, models: Mapping[str, ObjectModel]
) -> Detection3DArray:
    """Class, score, pose and oriented box of each object; ``models`` are known by name."""
    return Detection3DArray(
        header=header, detections=[_detection(o, header, models[o.name]) for o in objects]
    )


def transforms(objects: Sequence[ObjectPose], header: Header, prefix: str) -> TFMessage:
    """One frame per object, named by :func:`frame_names`, below the camera's."""
    names = frame_names(objects, prefix)
    return TFMessage(
        transforms=[_transform(o, header, name) for o, name in zip(objects, names, strict=True)]
    )


def frame_names(objects: Sequence[ObjectPose], prefix: str) -> list[str]:
    """``<prefix><name>`` for the first instance of a class, ``<prefix><name>_1`` for the next."""
    suffixes = (f"_{o.instance_id}" if o.instance_id else "" for o in objects)
    return [f"{prefix}{o.name}{suffix}" for o, suffix in zip(objects, suffixes, strict=True)]


def box_pose(found: ObjectPose, model: ObjectModel) -> Pose:
    """Pose of the centre of an object's box, which need not be the origin of its mesh."""
    centre = (model.box_min + model.box_max) / 2
    return pose(found.R_cam_obj, geometry.transform(found.R_cam_obj, found.t_cam_obj, centre))


def box_size(model: ObjectModel) -> Vector3:
    """Full edge lengths of an object's box in metres."""
    x, y, z = (model.box_max - model.box_min).tolist()
    return Vector3(x=x, y=y, z=z)


def _object_pose(found: ObjectPose) -> ObjectPoseMessage:
    return ObjectPoseMessage(
        name=found.name,
        class_id=found.class_id,
        instance_id=found.instance_id,
        score=float(found.score),
        pose=_pose_with_covariance(found),
        keypoints=np.ravel(found.keypoints).tolist(),
        keypoint_covariances=np.ravel(found.keypoint_covariances).tolist(),
        box=[float(v) for v in found.box],
        visible_pixels=int(found.visible_pixels),
    )


def _pose_with_covariance(found: ObjectPose) -> PoseWithCovariance:
    return PoseWithCovariance(
        pose=pose(found.R_cam_obj, found.t_cam_obj),
        covariance=np.ravel(found.covariance).tolist(),
    )


def _detection(found: ObjectPose, header: Header, model: ObjectModel) -> Detection3D:
    hypothesis = ObjectHypothesis(class_id=found.name, score=float(found.score))
    return Detection3D(
        header=header,
        results=[
            ObjectHypothesisWithPose(hypothesis=hypothesis, pose=_pose_with_covariance(found))
        ],
        bbox=BoundingBox3D(center=box_pose(found, model), size=box_size(model)),
        id=f"{found.name}_{found.instance_id}",
    )


def _transform(found: ObjectPose, header: Header, child: str) -> TransformStamped:
    message = TransformStamped(header=header, child_frame_id=child)
    x, y, z = np.asarray(found.t_cam_obj, dtype=np.float64).tolist()
    message.transform.translation = Vector3(x=x, y=y, z=z)
    message.transform.rotation = quaternion(found.R_cam_obj)
    return message
