import numpy as np
import pytest
from ros_fakes import CUP, DRILL, MODELS, make_pose
from std_msgs.msg import Header
from visualization_msgs.msg import Marker

from casapose_ros.geometry import rotation_from_vector
from casapose_ros.ros import messages
from casapose_ros.ros.markers import MarkerMemory

HEADER = Header(frame_id="camera_optical")
HEADER.stamp.sec = 12


def xyz(point):
    return [point.x, point.y, point.z]


def test_quaternion_order_and_sign():
    q = messages.quaternion(rotation_from_vector(np.array([0, 0, np.pi / 2])))
    np.testing.assert_allclose(
        [q.x, q.y, abs(q.z), abs(q.w)], [0, 0, *[np.sqrt(0.5)] * 2], atol=1e-12
    )
    assert q.z * q.w > 0


def test_quaternions_of_all_rotations_are_unit_and_come_back():
    rng = np.random.default_rng(0)
    vectors = [np.zeros(3), *np.pi * np.eye(3), *rng.normal(size=(50, 3)) * 2]
    for vector in vectors:
        R = rotation_from_vector(vector)
        q = messages.quaternion(R)
        assert np.linalg.norm([q.x, q.y, q.z, q.w]) == pytest.approx(1, abs=1e-12)
        np.testing.assert_allclose(messages.rotation_matrix(q), R, atol=1e-9)


def test_pose_array_holds_the_poses_in_order():
    objects = [make_pose(CUP, t=(0.1, 0.2, 0.3)), make_pose(DRILL, t=(0.4, 0.5, 0.6))]
    message = messages.pose_array(objects, HEADER)
    assert message.header == HEADER
    assert [xyz(p.position) for p in message.poses] == [[0.1, 0.2, 0.3], [0.4, 0.5, 0.6]]


def test_nothing_found_is_an_empty_message():
    assert messages.pose_array([], HEADER).poses == []
    assert messages.object_pose_array([], HEADER).objects == []
    assert messages.detection_array([], HEADER, MODELS).detections == []


def test_object_pose_array_says_everything():
    found = make_pose(DRILL, instance=3)
    found.keypoints[4] = np.nan
    message = messages.object_pose_array([found], HEADER, "model 1", 1.25)
    assert (message.header, message.model_name) == (HEADER, "model 1")
    assert (message.inference_time.sec, message.inference_time.nanosec) == (1, 250_000_000)
    (entry,) = message.objects
    assert (entry.name, entry.class_id, entry.instance_id) == ("drill", 2, 3)
    assert (entry.score, entry.visible_pixels) == (0.9, 321)
    np.testing.assert_array_equal(entry.box, [1, 2, 30, 40.5])
    np.testing.assert_array_equal(entry.pose.covariance, np.arange(36) * 1e-6)
    np.testing.assert_array_equal(entry.keypoints[:4], found.keypoints[:2].ravel())
    assert np.isnan(entry.keypoints[8:10]).all()
    np.testing.assert_allclose(entry.keypoint_covariances[4:8], [0.4, 0.5, 0.6, 0.7])


def test_object_pose_comes_back_from_its_message():
    found = make_pose(DRILL, instance=1)
    back = messages.object_pose_from_message(messages.object_pose_array([found], HEADER).objects[0])
    for name in ("name", "class_id", "instance_id", "score", "box", "visible_pixels"):
        assert getattr(back, name) == getattr(found, name)
    for name in ("t_cam_obj", "covariance", "keypoints", "keypoint_covariances"):
        np.testing.assert_array_equal(getattr(back, name), getattr(found, name))
    np.testing.assert_allclose(back.R_cam_obj, found.R_cam_obj, atol=1e-12)


def test_detection_box_is_centred_on_the_box_not_on_the_origin():
    found = make_pose(DRILL)
    (detection,) = messages.detection_array([found], HEADER, MODELS).detections
    centre = found.R_cam_obj @ [0.01, 0.02, -0.03] + found.t_cam_obj
    np.testing.assert_allclose(xyz(detection.bbox.center.position), centre, atol=1e-12)
    np.testing.assert_allclose(xyz(detection.bbox.size), [0.04, 0.06, 0.1], atol=1e-12)
    (result,) = detection.results
    assert (result.hypothesis.class_id, result.hypothesis.score) == ("drill", 0.9)
    np.testing.assert_array_equal(xyz(result.pose.pose.position), found.t_cam_obj)
    assert detection.header == HEADER


def test_transforms_are_named_and_unique_per_instance():
    objects = [make_pose(CUP), make_pose(CUP, instance=1), make_pose(DRILL)]
    message = messages.transforms(objects, HEADER, "seen/")
    assert [t.child_frame_id for t in message.transforms] == [
        "seen/cup",
        "seen/cup_1",
        "seen/drill",
    ]
    assert all(t.header == HEADER for t in message.transforms)
    np.testing.assert_array_equal(
        xyz(message.transforms[0].transform.translation), objects[0].t_cam_obj
    )


def test_markers_have_a_namespace_per_kind_and_stale_ones_go():
    memory = MarkerMemory()
    first = memory.update([make_pose(CUP), make_pose(DRILL)], HEADER, MODELS).markers
    assert {m.ns for m in first} == {"box", "axes", "name"}
    assert len({(m.ns, m.id) for m in first}) == len(first) == 6
    assert all(m.action == Marker.ADD and m.header == HEADER for m in first)

    second = memory.update([make_pose(CUP)], HEADER, MODELS).markers
    gone = {(m.ns, m.id) for m in second if m.action == Marker.DELETE}
    drill = {(m.ns, m.id) for m in first} - {(m.ns, m.id) for m in second if not m.action}
    assert gone == drill and len(gone) == 3

    assert all(m.action == Marker.DELETE for m in memory.update([], HEADER, MODELS).markers)
    assert memory.update([], HEADER, MODELS).markers == []


def test_marker_box_and_axes_lie_on_the_object():
    found = make_pose(DRILL)
    box, axes, name = MarkerMemory().update([found], HEADER, MODELS).markers
    centre = found.R_cam_obj @ [0.01, 0.02, -0.03] + found.t_cam_obj
    np.testing.assert_allclose(xyz(box.pose.position), centre, atol=1e-12)
    np.testing.assert_allclose(xyz(box.scale), [0.04, 0.06, 0.1], atol=1e-12)
    np.testing.assert_array_equal(xyz(axes.pose.position), found.t_cam_obj)
    assert [(c.r, c.g, c.b) for c in axes.colors[::2]] == [(1, 0, 0), (0, 1, 0), (0, 0, 1)]
    assert name.text == "drill 0.90"
    assert all(m.color.a > 0 for m in (box, name))
