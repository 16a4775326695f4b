"""What the node makes of its camera: bad, late, lost and unexpected input."""

from functools import partial
from types import SimpleNamespace

import numpy as np
import pytest
from diagnostic_msgs.msg import DiagnosticStatus
from geometry_msgs.msg import PoseArray
from rclpy.parameter import Parameter
from rclpy.qos import QoSProfile, ReliabilityPolicy
from robot import until
from ros_fakes import CAMERA, HEIGHT, WIDTH, load_fake
from sensor_msgs.msg import Image
from std_msgs.msg import Header

from casapose_ros.geometry import resize_camera
from casapose_ros.ros.conversions import info_from_camera


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        ({"step": 7}, "image step is 7 bytes"),
        ({"data": bytes(100)}, "image data has 100 bytes"),
        ({"width": 0}, "image has no pixels"),
        ({"encoding": "jpeg"}, "unknown image encoding 'jpeg'"),
    ],
)
def test_malformed_image_costs_one_warning_and_one_frame(robot, script, change, complaint):
    poses = robot.listen(PoseArray, "/casapose/poses")
    robot.connect()
    robot.send_info()
    for dropped in (1, 2, 3):
        robot.send_image(**change)
        until(partial(robot.has_rejected, dropped))
    level, message, values = robot.status()
    (warning,) = robot.warnings
    assert warning.startswith("dropped an image") and complaint in warning
    assert level == DiagnosticStatus.WARN
    assert complaint in message
    assert values["dropped, with a cause"] == "3"
    assert not script.images

    robot.send_image()
    until(lambda: poses)
    level, _, values = robot.status()
    assert level == DiagnosticStatus.OK
    assert complaint in values["last error"]


def test_missing_camera_info_is_named(robot, script):
    robot.connect()
    robot.send_image()
    until(lambda: robot.warnings)
    assert "no camera_info on /camera_info yet" in robot.warnings[0]
    assert "no camera_info" in robot.status()[1]


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        ({"k": [0.0] * 9}, "K = 0: the camera is not calibrated"),
        ({"k": [float("inf")] * 9}, "K must be a finite"),
        ({"width": 320, "height": 240}, "describes 320x240 pixels, but the image has 64x48"),
        ({"distortion_model": "spline"}, "unknown distortion model 'spline'"),
    ],
)
def test_bad_camera_info_is_named(robot, script, change, complaint):
    robot.connect()
    robot.send_info(**change)
    robot.send_image()
    until(lambda: robot.warnings)
    assert complaint in robot.warnings[0]
    assert complaint in robot.status()[1]
    assert not script.images


def test_new_resolution_is_taken_on_at_once(robot, script):
    poses = robot.listen(PoseArray, "/casapose/poses")
    robot.connect()
    robot.send_info()
    robot.send_image()
    until(lambda: len(poses) == 1)
    robot.send_info(resize_camera(CAMERA, WIDTH * 2, HEIGHT * 2))
    robot.send_image(WIDTH * 2, HEIGHT * 2)
    until(lambda: len(poses) == 2)
    assert script.images[1].shape == (HEIGHT * 2, WIDTH * 2, 3)
    assert script.cameras[1].K[0, 0] == 2 * CAMERA.K[0, 0]


@pytest.mark.parametrize(
    ("topic", "rectified", "focal_length"),
    [
        ("image", "auto", 60.0),
        ("camera/image_rect", "auto", 55.0),
        ("camera/image_rect_color", "auto", 55.0),
        ("direct/image", "auto", 60.0),
        ("image", "true", 55.0),
        ("image_rect", "false", 60.0),
    ],
)
def test_rectified_images_are_measured_with_p(make_node, script, topic, rectified, focal_length):
    node = make_node(
        load_fake(script),
        cli_args=["--ros-args", "-r", f"image:={topic}"],
        parameter_overrides=[Parameter("rectified", value=rectified)],
    )
    P = [55.0, 0.0, 32.0, 0.0, 0.0, 55.0, 24.0, 0.0, 0.0, 0.0, 1.0, 0.0]
    info = info_from_camera(CAMERA, Header())
    info.p = P
    node._on_camera_info(info)
    camera = node._camera(np.zeros((HEIGHT, WIDTH, 3), np.uint8), rectified)
    assert camera.K[0, 0] == focal_length


def test_old_images_are_dropped_with_the_cause(robot, script):
    robot.connect()
    robot.send_info()
    stamp = robot.tester.get_clock().now().to_msg()
    stamp.sec -= 60
    robot.send_image(stamp=stamp)
    until(lambda: robot.warnings)
    assert "beyond max_image_age" in robot.warnings[0] and "60." in robot.warnings[0]
    assert not script.images
    robot.node.set_parameters([Parameter("max_image_age", value=0.0)])
    robot.send_image(stamp=stamp)
    until(lambda: script.images)


def test_silent_camera_is_said(robot):
    robot.connect()
    until(lambda: "nothing arrives" in robot.status()[1])
    robot.tester.destroy_publisher(robot.images)
    until(lambda: "nobody publishes /image" in robot.status()[1])
    assert robot.status()[0] == DiagnosticStatus.WARN
    assert len(robot.warnings) == 2


def test_lost_images_are_counted_and_said(robot):
    event = SimpleNamespace(total_count=5, total_count_change=5)  # What the middleware reports.
    robot.node._on_images_lost(event)
    robot.connect()
    until(lambda: "5 were lost on the way" in robot.status()[1])
    assert robot.status()[2]["images lost on the way"] == "5"


def test_incompatible_qos_is_said(make_robot, script):
    parameters = {"qos_overrides./image.subscription.reliability": "reliable"}
    robot = make_robot(script, **parameters)  # The camera is best effort.
    until(lambda: robot.warnings)
    until(lambda: "another reliability" in robot.status()[1])
    assert "qos_overrides./image.subscription.reliability" in robot.status()[1]


def test_reliable_cameras_are_heard_too(robot, script):
    robot.tester.destroy_publisher(robot.images)
    qos = QoSProfile(depth=1, reliability=ReliabilityPolicy.RELIABLE)
    robot.images = robot.tester.create_publisher(Image, "image", qos)
    robot.connect()
    robot.send_info()
    robot.send_image()
    until(lambda: script.images)
