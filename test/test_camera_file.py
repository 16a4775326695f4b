"""Camera files as the tools write them, and as people break them."""

import json

import numpy as np
import pytest
import yaml

from casapose_ros.camera_file import load_camera
from casapose_ros.errors import CameraError

ROS = """\
image_width: 640
image_height: 480
camera_name: head_camera
camera_matrix:
  rows: 3
  cols: 3
  data: [438.783367, 0.000000, 305.593336, 0.000000, 437.302876, 243.738352, 0.0, 0.0, 1.0]
distortion_model: plumb_bob
distortion_coefficients:
  rows: 1
  cols: 5
  data: [-0.361976, 0.110510, 0.001014, 0.000505, 0.000000]
rectification_matrix:
  rows: 3
  cols: 3
  data: [1.0, 0.0, 0.0, 0.0, 1.0, 0.0, 0.0, 0.0, 1.0]
projection_matrix:
  rows: 3
  cols: 4
  data: [393.653800, 0.0, 322.797939, 0.0, 0.0, 393.653800, 241.090902, 0.0, 0.0, 0.0, 1.0, 0.0]
"""
BOP = {"cx": 325.2611, "cy": 242.04899, "depth_scale": 1.0, "fx": 572.4114, "fy": 573.57043}
BOP |= {"height": 480, "width": 640}


def write(tmp_path, values, name="camera.yaml"):
    path = tmp_path / name
    path.write_text(values if isinstance(values, str) else yaml.safe_dump(values))
    return path


def ros_values(**changes):
    values = {**yaml.safe_load(ROS), **changes}
    return {key: value for key, value in values.items() if value is not None}


def matrix(rows, cols, data):
    return {"rows": rows, "cols": cols, "data": data}


def test_ros_calibration(tmp_path):
    camera = load_camera(write(tmp_path, ROS))
    assert (camera.width, camera.height) == (640, 480)
    assert camera.K[0].tolist() == [438.783367, 0, 305.593336]
    assert camera.K[1].tolist() == [0, 437.302876, 243.738352]
    assert camera.distortion.tolist() == [-0.361976, 0.110510, 0.001014, 0.000505, 0.0]
    assert camera.distortion_model == "plumb_bob" and camera.is_distorted


def test_bop_camera(tmp_path):
    camera = load_camera(write(tmp_path, json.dumps(BOP, indent=2), "camera.json"))
    assert (camera.width, camera.height) == (640, 480)
    assert np.array_equal(camera.K, [[572.4114, 0, 325.2611], [0, 573.57043, 242.04899], [0, 0, 1]])
    assert camera.distortion_model == "none" and not camera.is_distorted


def test_reference_camera(shared_dir):
    assert load_camera(shared_dir / "data" / "lmo" / "camera.json").K[0, 0] == 572.4114


@pytest.mark.parametrize(
    ("name", "count", "model"),
    [
        ("rational_polynomial", 8, "rational_polynomial"),
        ("equidistant", 4, "equidistant"),
        ("fisheye", 4, "equidistant"),
        ("plumb_bob", 4, "plumb_bob"),
    ],
)
def test_distortion_models(tmp_path, name, count, model):
    data = matrix(1, count, [0.01] * count)
    values = ros_values(distortion_model=name, distortion_coefficients=data)
    camera = load_camera(write(tmp_path, values))
    assert camera.distortion_model == model and len(camera.distortion) == count


def test_without_model_it_is_plumb_bob_as_in_ros(tmp_path):
    camera = load_camera(write(tmp_path, ros_values(distortion_model=None)))
    assert camera.distortion_model == "plumb_bob"


def test_without_coefficients_it_is_undistorted(tmp_path):
    values = ros_values(distortion_coefficients=matrix(0, 0, []))
    assert load_camera(write(tmp_path, values)).distortion_model == "none"


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"image_width": None}, "image_width is missing"),
        ({"image_height": 0}, "image_height: expected an integer of at least 1, got 0"),
        ({"image_width": "640"}, "image_width"),
        ({"distortion_coefficients": None}, "distortion_coefficients is missing"),
        ({"camera_matrix": [1, 2, 3]}, "camera_matrix: expected rows, cols and data"),
        ({"camera_matrix": matrix(3, 3, [1, 2, 3])}, r"camera_matrix: data: expected \(9,\)"),
        ({"camera_matrix": matrix(2, 3, [1] * 6)}, "3x3 matrix"),
        ({"camera_matrix": matrix(1, 7, [1] * 7)}, "3x3 matrix"),
        ({"camera_matrix": matrix(3, 3, ["a"] * 9)}, "expected numbers"),
        ({"camera_matrix": matrix(3, 3, [0.0] * 9)}, "uncalibrated"),
        ({"camera_matrix": matrix(3, 3, [float("nan")] * 9)}, "finite"),
        ({"distortion_model": "brown"}, "unknown distortion model 'brown'"),
        ({"distortion_model": ["plumb_bob"]}, "unknown distortion model"),
        ({"distortion_coefficients": matrix(1, 3, [0.1] * 3)}, "takes .* coefficients, got 3"),
    ],
)
def test_wrong_ros_entries_are_named(tmp_path, changes, message):
    path = write(tmp_path, ros_values(**changes))
    with pytest.raises(CameraError, match=message) as error:
        load_camera(path)
    assert str(path) in str(error.value)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"fy": None}, "fy is missing"),
        ({"fx": 0.0}, "focal lengths"),
        ({"cx": "centre"}, "cx: expected numbers"),
        ({"cx": [1, 2]}, "cx: expected"),
        ({"width": -640}, "width"),
    ],
)
def test_wrong_bop_entries_are_named(tmp_path, changes, message):
    values = {key: value for key, value in {**BOP, **changes}.items() if value is not None}
    with pytest.raises(CameraError, match=message):
        load_camera(write(tmp_path, values))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "expected a mapping, got NoneType"),
        ("[1, 2]", "expected a mapping, got list"),
        ("a: [1", "neither YAML nor JSON"),
        ("{}", "got nothing"),
        ("K: [1, 2, 3]", "no camera calibration.*got K"),
    ],
)
def test_other_files(tmp_path, text, message):
    with pytest.raises(CameraError, match=message):
        load_camera(write(tmp_path, text))


def test_missing_and_binary_files(tmp_path):
    with pytest.raises(CameraError, match="no such camera file"):
        load_camera(tmp_path / "nowhere.yaml")
    with pytest.raises(CameraError, match="no such camera file"):
        load_camera(tmp_path)
    (tmp_path / "binary").write_bytes(b"\xff\xd8\xff\x00")
    with pytest.raises(CameraError, match="neither YAML nor JSON"):
        load_camera(tmp_path / "binary")
