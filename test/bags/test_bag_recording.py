"""Bags made of BOP data sets and image files."""

import cv2
import numpy as np
import pytest
from bop_folder import BopFolder
from exact_fields import CAMERA, box_object, random_pose
from scipy.spatial.transform import Rotation

from casapose_ros import geometry
from casapose_ros.bags import message_types as types
from casapose_ros.bags.frames import BagSource
from casapose_ros.bags.reading import open_bag
from casapose_ros.bags.recording import (
    FIRST_STAMP,
    RecordingOptions,
    Shot,
    bop_shots,
    record,
)
from casapose_ros.bags.writing import BagWriter
from casapose_ros.data.bop import read_scene
from casapose_ros.errors import CameraError, ConfigError, ImageError
from casapose_ros.evaluation.datasets import read_frame

OBJECTS = (box_object(1), box_object(2, (0.1, 0.1, 0.1)))


@pytest.fixture(scope="module")
def frames(tmp_path_factory):
    """Three images; in the last one the first object is there twice."""
    rng = np.random.default_rng(3)
    poses = [random_pose(rng) for _ in range(5)]
    images = [
        [(OBJECTS[0], *poses[0])],
        [(OBJECTS[1], *poses[1]), (OBJECTS[0], *poses[2])],
        [(OBJECTS[0], *poses[3]), (OBJECTS[0], *poses[4])],
    ]
    folder = BopFolder(tmp_path_factory.mktemp("data") / "boxes", OBJECTS, images)
    return read_scene(folder.scene_path)


def write(path, shots, **options):
    with BagWriter(path) as writer:
        assert record(writer, shots, RecordingOptions(**options)) == 3
    return writer.path


def decoded(path):
    """All messages by topic."""
    found = {}
    with open_bag(path) as bag:
        for raw in bag.messages({topic.name for topic in bag.topics}):
            found.setdefault(raw.topic, []).append(bag.decode(raw.data, raw.type))
    return found


@pytest.mark.parametrize("ending", ["mcap", "db3"])
@pytest.mark.parametrize("compressed", [None, "png"])
def test_bop_frames_come_back(frames, tmp_path, ending, compressed):
    path = write(tmp_path / f"run.{ending}", bop_shots(frames, OBJECTS), compressed=compressed)
    source = BagSource(path, OBJECTS)
    for found, bop in zip(source.frames(), frames, strict=True):
        expected = read_frame(bop, OBJECTS)
        np.testing.assert_array_equal(found.image, expected.image)
        np.testing.assert_array_equal(found.camera.K, expected.camera.K)
        # In a message the most visible object comes first.
        truths = sorted(expected.truths, key=lambda t: -t.visibility)
        for one, other in zip(found.truths, truths, strict=True):
            assert (one.name, one.visibility) == (other.name, other.visibility)
            np.testing.assert_array_equal(one.t_cam_obj, other.t_cam_obj)
            np.testing.assert_allclose(one.R_cam_obj, other.R_cam_obj, atol=1e-12)
    assert source.problems == []


def test_topics_and_stamps(frames, tmp_path):
    found = decoded(write(tmp_path / "run", bop_shots(frames, OBJECTS), rate=30, frame_id="eye"))
    assert set(found) == {"/image", "/camera_info", "/camera/ground_truth", "/tf"}
    stamps = [FIRST_STAMP, FIRST_STAMP + 33333333, FIRST_STAMP + 66666667]
    for topic in set(found) - {"/tf"}:
        assert [types.stamp_ns(m.header.stamp) for m in found[topic]] == stamps
        assert {m.header.frame_id for m in found[topic]} == {"eye"}


def test_ground_truth_says_all_that_the_data_set_says(frames, tmp_path):
    found = decoded(write(tmp_path / "run", bop_shots(frames, OBJECTS)))
    truth = found["/camera/ground_truth"][2]
    assert truth.model_name == "" and len(truth.objects) == 2
    assert [o.instance_id for o in truth.objects] in ([0, 1], [1, 0])
    for one in truth.objects:
        true = frames[2].objects[one.instance_id]
        assert (one.name, one.class_id) == ("box1", 1)
        assert one.score == true.visib_fract
        expected = geometry.project(OBJECTS[0].keypoints, true.R_cam_obj, true.t_cam_obj, CAMERA)
        np.testing.assert_array_equal(one.keypoints.reshape(9, 2), expected)
        assert np.all(one.pose.covariance == 0) and len(one.keypoint_covariances) == 36


def test_tf_leads_from_the_camera_to_each_object(frames, tmp_path):
    found = decoded(write(tmp_path / "run", bop_shots(frames, OBJECTS)))
    transforms = {t.child_frame_id: t for t in found["/tf"][2].transforms}
    # Not the frames that the pose node publishes: both can be shown together.
    assert set(transforms) == {"ground_truth/box1", "ground_truth/box1_1"}
    moved = transforms["ground_truth/box1"]
    assert moved.header.frame_id == "camera_optical_frame"
    q, t = moved.transform.rotation, moved.transform.translation
    true = frames[2].objects[0]
    np.testing.assert_allclose(
        Rotation.from_quat([q.x, q.y, q.z, q.w]).as_matrix(), true.R_cam_obj, atol=1e-12
    )
    np.testing.assert_array_equal([t.x, t.y, t.z], true.t_cam_obj)


def test_objects_without_names_are_called_after_their_files(frames, tmp_path):
    path = write(tmp_path / "run", bop_shots(frames, ()))
    truth = decoded(path)["/camera/ground_truth"][0]
    (one,) = truth.objects
    assert (one.name, one.class_id, len(one.keypoints)) == ("obj_000011", 11, 0)
    # A model that knows the data set's objects by name knows them all the same.
    source = BagSource(path, OBJECTS)
    assert source.counts == {"box1": 4, "box2": 1}
    assert [len(frame.truths) for frame in source.frames()] == [1, 2, 2]


def test_files_of_the_wanted_kind_go_in_as_they_are(frames, tmp_path):
    image = frames[0].load_image()
    file = tmp_path / "a.JPG"
    file.write_bytes(cv2.imencode(".jpg", image[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, 60])[1])
    shots = [Shot(file, CAMERA), Shot(frames[0].image_path, CAMERA), Shot(file, CAMERA)]
    messages = decoded(write(tmp_path / "run", shots, compressed="jpeg"))["/image/compressed"]
    assert messages[0].format == "rgb8; jpeg compressed bgr8"
    assert messages[0].data.tobytes() == messages[2].data.tobytes() == file.read_bytes()
    assert messages[1].data.tobytes()[:2] == b"\xff\xd8"
    assert set(decoded(tmp_path / "run")) == {"/image/compressed", "/camera_info"}


def test_bad_files_leave_no_bag_behind(frames, tmp_path):
    text, small = tmp_path / "a.png", tmp_path / "b.png"
    text.write_text("no image")
    cv2.imwrite(str(small), np.zeros((4, 4, 3), np.uint8))
    good = Shot(frames[0].image_path, CAMERA)
    for path, error, complaint in (
        (text, ImageError, "a.png: no image"),
        (tmp_path / "c.png", ImageError, "c.png: cannot be read: No such file"),
        (small, CameraError, "b.png: camera_info describes 640x480 pixels"),
    ):
        with pytest.raises(error, match=complaint):
            write(tmp_path / "run", [good, Shot(path, CAMERA), good])
        assert not (tmp_path / "run").exists()


@pytest.mark.parametrize("rate", [0, -1, float("nan"), 1e9])
def test_rates_that_make_no_sense(rate):
    with pytest.raises(ConfigError, match="images per second"):
        RecordingOptions(rate=rate)
