import threading
import time
from functools import partial

import numpy as np
import pytest
from casapose_ros.msg import ObjectPoseArray
from diagnostic_msgs.msg import DiagnosticStatus
from geometry_msgs.msg import PoseArray
from rcl_interfaces.srv import GetParameters
from rclpy.parameter import Parameter
from robot import until
from ros_fakes import CAMERA, CUP, HEIGHT, WIDTH, FakeEstimator, load_fake, make_pose
from sensor_msgs.msg import Image
from std_msgs.msg import Header
from tf2_msgs.msg import TFMessage
from vision_msgs.msg import Detection3DArray
from visualization_msgs.msg import Marker, MarkerArray

from casapose_ros import visualisation
from casapose_ros.errors import BundleError, ImageError
from casapose_ros.ros import node as node_module
from casapose_ros.ros.conversions import image_to_rgb, info_from_camera, rgb_to_image


def test_every_topic_carries_the_image_s_header_and_the_poses(robot):
    poses = robot.listen(PoseArray, "/casapose/poses")
    objects = robot.listen(ObjectPoseArray, "/casapose/objects")
    detections = robot.listen(Detection3DArray, "/casapose/detections")
    markers = robot.listen(MarkerArray, "/casapose/markers")
    transforms = robot.listen(TFMessage, "/tf")
    robot.connect()
    robot.send_info()
    header = robot.send_image()
    until(lambda: all((poses, objects, detections, markers, transforms)))

    assert poses[0].header == objects[0].header == detections[0].header == header
    assert all(m.header == header for m in markers[0].markers)
    assert [t.header for t in transforms[0].transforms] == [header] * 2
    assert [t.child_frame_id for t in transforms[0].transforms] == ["cup", "drill"]
    expected = make_pose(CUP)
    position = poses[0].poses[0].position
    np.testing.assert_array_equal([position.x, position.y, position.z], expected.t_cam_obj)
    assert [o.name for o in objects[0].objects] == ["cup", "drill"]
    assert objects[0].model_name == "fake model"
    assert objects[0].inference_time.nanosec == 10_000_000
    assert len(detections[0].detections) == 2
    assert len(markers[0].markers) == 6


def test_image_and_camera_reach_the_network(robot, script):
    robot.connect()
    robot.send_info()
    data = np.arange(3 * WIDTH * HEIGHT, dtype=np.uint8)
    robot.send_image(data=data.tobytes(), encoding="bgr8")
    until(lambda: script.images)
    np.testing.assert_array_equal(script.images[0], data.reshape(HEIGHT, WIDTH, 3)[..., ::-1])
    np.testing.assert_array_equal(script.cameras[0].K, CAMERA.K)


def test_newest_frame_wins(robot, script):
    script.seconds = 1.0
    poses = robot.listen(PoseArray, "/casapose/poses")
    robot.connect()
    robot.send_info()
    headers = []
    for count in range(1, 12):
        headers.append(robot.send_image())
        until(partial(robot.has_received, count))
        assert script.running.wait(5)
    until(lambda: len(poses) == 2)
    time.sleep(0.5)
    assert [p.header for p in poses] == [headers[0], headers[-1]]
    _, _, values = robot.status()
    assert values["images received"] == "11"
    assert values["dropped, newer image came"] == "9"
    assert values["results published"] == "2"


def test_executor_answers_while_the_network_runs(robot, script):
    script.seconds = 1.5
    client = robot.tester.create_client(GetParameters, "/casapose/get_parameters")
    assert client.wait_for_service(5)
    robot.connect()
    robot.send_info()
    robot.send_image()
    assert script.running.wait(5)
    start = time.monotonic()
    future = client.call_async(GetParameters.Request(names=["min_pixels"]))
    until(future.done)
    assert time.monotonic() - start < 0.75
    count = len(robot.statuses)
    until(lambda: len(robot.statuses) > count + 2)
    assert time.monotonic() - start < 1.4


def test_pictures_are_drawn_only_for_listeners(robot, script, monkeypatch):
    drawn = []
    functions = {
        "overlay": "overlay",
        "segmentation": "segmentation_picture",
        "vector_field": "vector_field_picture",
        "confidence": "confidence_picture",
    }
    for name, function in functions.items():

        def spy(draw, name, *args):
            drawn.append(name)
            return draw(*args)

        original = getattr(visualisation, function)
        monkeypatch.setattr(visualisation, function, partial(spy, original, name))
    robot.connect()
    robot.send_info()
    robot.send_image()
    until(lambda: script.images)
    time.sleep(0.1)
    assert drawn == []

    pictures = {name: robot.listen(Image, f"/casapose/debug/{name}") for name in functions}
    robot.connect()
    header = robot.send_image()
    until(lambda: all(pictures.values()))
    assert sorted(drawn) == sorted(functions)
    for name, (message,) in pictures.items():
        assert (message.header, message.encoding) == (header, "rgb8")
        picture = image_to_rgb(message)
        expected = (HEIGHT, WIDTH, 3) if name == "overlay" else (HEIGHT // 2, WIDTH // 2, 3)
        assert picture.shape == expected
        assert picture.any()


def test_nothing_in_view_is_said_and_markers_go(robot, script):
    poses = robot.listen(PoseArray, "/casapose/poses")
    objects = robot.listen(ObjectPoseArray, "/casapose/objects")
    markers = robot.listen(MarkerArray, "/casapose/markers")
    robot.connect()
    robot.send_info()
    robot.send_image()
    until(lambda: poses and markers)
    script.objects = []
    header = robot.send_image()
    until(lambda: len(poses) == len(objects) == len(markers) == 2)
    assert (poses[1].header, poses[1].poses, objects[1].objects) == (header, [], [])
    assert {(m.ns, m.id) for m in markers[1].markers} == {(m.ns, m.id) for m in markers[0].markers}
    assert all(m.action == Marker.DELETE for m in markers[1].markers)


def test_runtime_parameters_act_on_the_next_image(robot, script):
    poses = robot.listen(ObjectPoseArray, "/casapose/objects")
    transforms = robot.listen(TFMessage, "/tf")
    robot.connect()
    robot.send_info()
    changes = {
        "objects": ["drill"],
        "min_pixels": 55,
        "keypoint_method": "ransac",
        "pnp": "iterative",
        "component": "all",
        "max_instances": 4,
        "tf_prefix": "seen_",
    }
    for name, value in changes.items():
        (result,) = robot.node.set_parameters([Parameter(name, value=value)])
        assert result.successful, result.reason
    robot.send_image()
    until(lambda: poses and transforms)
    assert [o.name for o in poses[0].objects] == ["drill"]
    assert [t.child_frame_id for t in transforms[0].transforms] == ["seen_drill"]
    config = script.configs[0]
    assert (config.min_pixels, config.keypoint_method, config.component) == (55, "ransac", "all")
    assert config.max_instances == 4
    assert config.pnp == "iterative"

    robot.node.set_parameters([Parameter("score_threshold", value=0.7)])
    robot.node.set_parameters([Parameter("objects", value=[""])])
    robot.node.set_parameters([Parameter("publish_tf", value=False)])
    robot.send_image()
    until(lambda: len(poses) == 2)
    assert [o.name for o in poses[1].objects] == ["cup"]
    assert len(transforms) == 1


@pytest.mark.parametrize(
    ("name", "value", "reason"),
    [
        ("objects", ["cupp"], "the model has no object 'cupp'; did you mean 'cup'?"),
        ("keypoint_method", "magic", "must be one of dkr, ransac"),
        ("pnp", "magic", "must be one of weighted, iterative"),
        ("score_threshold", 1.5, "range"),
        ("min_pixels", 0, "range"),
        ("debug_keypoint", 9, "range"),
        ("tf_prefix", "a b", "tf_prefix may hold"),
        ("model_path", "/elsewhere", "read-only"),
        ("max_image_age", -1.0, "range"),
    ],
)
def test_bad_parameters_are_refused_with_the_reason(make_node, script, name, value, reason):
    node = make_node(load_fake(script))
    (result,) = node.set_parameters([Parameter(name, value=value)])
    assert not result.successful
    assert reason in result.reason


def test_missing_model_is_an_error_that_is_said(make_robot, script):
    def load(path, device):
        raise BundleError(f"{path}: no such bundle")

    robot = make_robot(script, load, model_path="/nowhere")
    robot.connect()
    level, message, values = robot.status()
    assert level == DiagnosticStatus.ERROR
    assert message == "no model: /nowhere: no such bundle"
    robot.send_info()
    robot.send_image()
    until(lambda: robot.warnings)
    assert "no model: /nowhere" in robot.warnings[0]


@pytest.mark.parametrize("error", [ImageError("too dark"), RuntimeError("out of memory")])
def test_errors_of_the_network_cost_one_frame(robot, script, error):
    poses = robot.listen(PoseArray, "/casapose/poses")
    robot.connect()
    robot.send_info()
    script.error = error
    robot.send_image()
    until(lambda: script.images)
    assert str(error) in robot.status()[2]["last error"]
    script.error = None
    robot.send_image()
    until(lambda: poses)


def test_diagnostics_of_a_healthy_node(robot):
    poses = robot.listen(PoseArray, "/casapose/poses")
    robot.connect()
    robot.send_info()
    robot.send_image()
    until(lambda: poses)
    level, message, values = robot.status()
    assert level == DiagnosticStatus.OK
    assert message.endswith("results per second")
    assert (values["model"], values["device"]) == ("fake model", "fake device")
    assert values["camera"] == "64x48, plumb_bob"
    stages = ("decode", "preprocess", "network", "keypoints", "pnp", "publish", "age of result")
    for stage in stages:
        assert values[f"{stage} (ms)"].startswith("p50 ")
    assert float(values["input Hz"]) > 0 and float(values["output Hz"]) > 0
    assert "last error" not in values


def test_model_settings_are_the_defaults(make_node, script):
    def load(path, device):
        model = load_fake(script)(path, device)
        config = model.estimator.config
        estimator = FakeEstimator(script, type(config)(min_pixels=33, score_threshold=0.25))
        return node_module.LoadedModel(estimator, model.device)

    node = make_node(load)
    assert node.get_parameter("min_pixels").value == 33
    assert node.get_parameter("score_threshold").value == 0.25


@pytest.mark.parametrize("shut_down", [False, True])
def test_destroying_waits_for_the_running_image(ros, make_node, script, capfd, shut_down):
    script.seconds = 0.5
    node = make_node(load_fake(script))
    node._on_camera_info(info_from_camera(CAMERA, Header()))
    image = rgb_to_image(np.zeros((HEIGHT, WIDTH, 3), np.uint8), Header())
    image.header.stamp = node.get_clock().now().to_msg()
    node._on_image(image)
    assert script.running.wait(5)
    if shut_down:
        ros.shutdown()  # As Ctrl-C does: the result finds nobody to go to.
    start = time.monotonic()
    node.destroy_node()
    assert time.monotonic() - start > 0.3
    assert not [t for t in threading.enumerate() if t.name == "latest-worker"]
    assert "Traceback" not in capfd.readouterr().err
