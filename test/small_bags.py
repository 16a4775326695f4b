"""Small recordings of known content, and bags of them in every form that bags come in."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from exact_fields import box_object, random_pose
from mcap.writer import CompressionType, IndexType, Writer

from casapose_ros.bags import message_types as types
from casapose_ros.bags import messages
from casapose_ros.bags.writing import BagWriter
from casapose_ros.evaluation.judging import Frame
from casapose_ros.types import CameraModel, ObjectPose

OBJECTS = (box_object(1), box_object(2, (0.1, 0.1, 0.1)))
WIDTH, HEIGHT = 16, 12
CAMERA = CameraModel(np.array([[20, 0, 7.5], [0, 21, 5.5], [0, 0, 1.0]]), WIDTH, HEIGHT)
NEARER = dataclasses.replace(CAMERA, K=CAMERA.K * [[2, 1, 1], [1, 2, 1], [1, 1, 1]])
FRAME = "camera_optical_frame"
START = 10**18
PERIOD = 10**8

IMAGE, INFO, TRUTH = "/camera/image_raw", "/camera/camera_info", "/ground_truth"


@dataclass(frozen=True)
class Recorded:
    """One message of a recording."""

    topic: str
    type: str
    time: int
    message: Any

    @property
    def data(self) -> bytes:
        """CDR."""
        return bytes(types.typestore().serialize_cdr(self.message, self.type))


@dataclass
class Recording:
    """A camera that sees the two boxes in other poses in each image.

    Attributes:
        count: Number of images.
        camera: The camera.
        seed: Other seed, other recording.
    """

    count: int = 6
    camera: CameraModel = CAMERA
    seed: int = 0
    stamps: list[int] = field(init=False)
    images: list[np.ndarray] = field(init=False)
    truths: list[tuple[ObjectPose, ...]] = field(init=False)

    def __post_init__(self) -> None:
        rng = np.random.default_rng(self.seed)
        shape = (self.count, self.camera.height, self.camera.width, 3)
        self.stamps = [START + i * PERIOD for i in range(self.count)]
        self.images = list(rng.integers(0, 256, shape, dtype=np.uint8))
        self.truths = [tuple(true_pose(rng, obj) for obj in OBJECTS) for _ in range(self.count)]

    def image(self, index: int, topic: str = IMAGE, compressed: str | None = None) -> Recorded:
        """The message of an image."""
        head, rgb = self.header(index), self.images[index]
        if compressed is None:
            return Recorded(topic, types.IMAGE, self.stamps[index], messages.image(head, rgb))
        data = messages.compress(rgb, compressed)
        message = messages.compressed_image(head, data, compressed)
        return Recorded(topic, types.COMPRESSED_IMAGE, self.stamps[index], message)

    def info(self, index: int, topic: str = INFO) -> Recorded:
        """The message of an image's calibration."""
        message = messages.camera_info(self.header(index), self.camera)
        return Recorded(topic, types.CAMERA_INFO, self.stamps[index], message)

    def truth(self, index: int, topic: str = TRUTH) -> Recorded:
        """The message of an image's ground truth."""
        message = messages.ground_truth(self.header(index), self.truths[index])
        return Recorded(topic, types.OBJECT_POSE_ARRAY, self.stamps[index], message)

    def header(self, index: int) -> Any:
        """The header of all messages of an image."""
        return messages.header(self.stamps[index], FRAME)

    def all(self) -> list[Recorded]:
        """Truth, calibration and image of each image in turn."""
        kinds = (self.truth, self.info, self.image)
        return [kind(index) for index in range(self.count) for kind in kinds]

    def check(self, frame: Frame, tolerance: float = 0.0) -> int:
        """Hold a frame to what was recorded with its stamp; returns which image it is."""
        index = self.stamps.index(frame.stamp)
        difference = frame.image.astype(int) - self.images[index]
        assert np.abs(difference).max() <= tolerance
        assert camera_values(frame.camera) == camera_values(self.camera)
        assert [t.name for t in frame.truths] == [p.name for p in self.truths[index]]
        for found, true in zip(frame.truths, self.truths[index], strict=True):
            np.testing.assert_allclose(found.R_cam_obj, true.R_cam_obj, atol=1e-12)
            np.testing.assert_array_equal(found.t_cam_obj, true.t_cam_obj)
            assert found.visibility == true.score
        return index


def true_pose(rng: np.random.Generator, obj) -> ObjectPose:
    """Some pose of an object, in the form of an answer."""
    R, t = random_pose(rng)
    return ObjectPose(
        name=obj.name,
        class_id=obj.class_id,
        instance_id=0,
        score=rng.uniform(0.5, 1),
        R_cam_obj=R,
        t_cam_obj=t,
        covariance=np.zeros((6, 6)),
        keypoints=np.zeros((9, 2)),
        keypoint_covariances=np.zeros((9, 2, 2)),
        box=(0, 0, 1, 1),
        visible_pixels=1,
        reprojection_error=0.0,
    )


def camera_values(camera: CameraModel) -> tuple:
    """What makes two cameras the same."""
    distortion = tuple(camera.distortion) if camera.is_distorted else ()
    return (*camera.K.ravel(), camera.width, camera.height, distortion)


def write_bag(path: Path, recorded: Iterable[Recorded]) -> Path:
    """A bag of our own writer."""
    with BagWriter(path) as writer:
        for one in recorded:
            writer.write(one.topic, one.type, one.time, one.message)
    return writer.path


def write_mcap(
    path: Path,
    recorded: Sequence[Recorded | tuple[str, str, int, bytes]],
    *,
    compression: CompressionType = CompressionType.NONE,
    chunk_size: int = 1500,
    index: bool = True,
    **options: Any,
) -> Path:
    """An MCAP file of another writer: in many chunks, in none, compressed, without an index."""
    options["index_types"] = IndexType.ALL if index else IndexType.NONE
    if not index:
        options |= dict.fromkeys(("repeat_channels", "repeat_schemas", "use_statistics"), False)
        options["use_summary_offsets"] = False
    with path.open("wb") as file:
        writer = Writer(file, chunk_size, compression, **options)
        writer.start("ros2", "test")
        channels: dict[tuple[str, str], int] = {}
        for topic, name, time, data in map(as_tuple, recorded):
            if (topic, name) not in channels:
                schema = writer.register_schema(name, "ros2msg", definition(name))
                channels[topic, name] = writer.register_channel(topic, "cdr", schema)
            writer.add_message(channels[topic, name], time, data, time)
        writer.finish()
    return path


def as_tuple(one: Recorded | tuple[str, str, int, bytes]) -> tuple[str, str, int, bytes]:
    """Topic, type, time and data."""
    return one if isinstance(one, tuple) else (one.topic, one.type, one.time, one.data)


def definition(type_name: str) -> bytes:
    """A type's definition, as bags hold it."""
    store = types.typestore()
    if type_name not in store.fielddefs:
        return b""
    return store.generate_msgdef(type_name, ros_version=2)[0].encode()


def changed(one: Recorded, **fields: Any) -> Recorded:
    """The same with other fields in its message."""
    return dataclasses.replace(one, message=dataclasses.replace(one.message, **fields))


def renamed(one: Recorded, topic: str) -> Recorded:
    """The same on another topic."""
    return dataclasses.replace(one, topic=topic)


def stamps_of(frames: Iterable[Frame]) -> list[int | None]:
    """The stamps of frames."""
    return [frame.stamp for frame in frames]


def write_scene(path: Path, recording: Recording, keys: Iterable[int]) -> Path:
    """The ground truth as a BOP scene with these image ids."""
    keys = list(keys)
    ids = {obj.name: obj.bop_id for obj in OBJECTS}
    truths = {
        str(key): [
            {"obj_id": ids[p.name], "cam_R_m2c": p.R_cam_obj.ravel().tolist(),
             "cam_t_m2c": (1000 * p.t_cam_obj).tolist()}
            for p in poses
        ]
        for key, poses in zip(keys, recording.truths, strict=True)
    }  # fmt: skip
    infos = {
        str(key): [{"visib_fract": p.score} for p in poses]
        for key, poses in zip(keys, recording.truths, strict=True)
    }
    path.mkdir()
    (path / "scene_gt.json").write_text(json.dumps(truths))
    (path / "scene_gt_info.json").write_text(json.dumps(infos))
    return path / "scene_gt.json"


def check_scene(recording: Recording, frame: Frame) -> int:
    """Which image has the truth of this frame; millimetres in a file are not exact."""
    index = recording.stamps.index(frame.stamp)
    for found, true in zip(frame.truths, recording.truths[index], strict=True):
        assert found.name == true.name and found.visibility == true.score
        np.testing.assert_allclose(found.t_cam_obj, true.t_cam_obj, atol=1e-12)
    return index
