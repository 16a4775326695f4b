import cv2
import numpy as np
import pytest
from casapose_ros.msg import ObjectPoseArray
from rclpy.executors import SingleThreadedExecutor
from rclpy.node import Node
from rclpy.parameter import Parameter
from robot import PATIENCE
from sensor_msgs.msg import CameraInfo, Image

from casapose_ros.errors import CasaposeError, ConfigError, ImageError
from casapose_ros.ros.camera_node import CameraNode
from casapose_ros.ros.conversions import camera_from_info, image_to_rgb
from casapose_ros.ros.sources import FolderSource, VideoSource

RGB = ((250, 10, 20), (30, 240, 50), (60, 70, 230))


@pytest.fixture
def folder(tmp_path):
    """Three images of one colour each, and a file that is none."""
    for i, rgb in enumerate(RGB):
        picture = np.full((48, 64, 3), rgb[::-1], dtype=np.uint8)
        cv2.imwrite(str(tmp_path / f"image_{i}.png"), picture)
    (tmp_path / "notes.txt").write_text("no image")
    return tmp_path


@pytest.fixture
def video(tmp_path):
    path = tmp_path / "video.avi"
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter_fourcc(*"MJPG"), 10, (64, 48))
    for rgb in RGB:
        writer.write(np.full((48, 64, 3), rgb[::-1], dtype=np.uint8))
    writer.release()
    return path


def colours(source, count):
    pictures = [source.read() for _ in range(count)]
    return [None if p is None else p.image[20, 30].astype(int) for p in pictures]


def test_folder_in_order_of_names_then_the_end(folder):
    read = colours(FolderSource(folder, None, loop=False), 4)
    np.testing.assert_array_equal(read[:3], RGB)
    assert read[3] is None


def test_folder_starts_anew(folder):
    np.testing.assert_array_equal(colours(FolderSource(folder, None, loop=True), 5), RGB + RGB[:2])


def test_broken_image_is_an_error_and_the_next_one_is_read(folder):
    (folder / "image_1.png").write_bytes(b"broken")
    source = FolderSource(folder, None, loop=False)
    source.read()
    with pytest.raises(ImageError, match="image_1.png"):
        source.read()
    np.testing.assert_array_equal(colours(source, 1), RGB[2:])


def test_folder_without_images_is_refused(tmp_path):
    with pytest.raises(ConfigError, match="no image in"):
        FolderSource(tmp_path, None, loop=True)


@pytest.mark.parametrize("loop", [False, True])
def test_video(video, loop):
    source = VideoSource(str(video), None, loop)
    read = colours(source, 4)
    source.close()
    assert np.abs(np.array(read[:3]) - RGB).max() < 12  # JPEG
    assert (read[3] is None) == (not loop)


def test_no_video_is_refused(tmp_path):
    path = tmp_path / "video.avi"
    path.write_bytes(b"broken")
    with pytest.raises(ConfigError, match="cannot open"):
        VideoSource(str(path), None, loop=True)


def shoot(ros, count, **parameters):
    """Run a camera node until ``count`` images have come; returns images, infos and truths."""
    overrides = [Parameter(name, value=value) for name, value in parameters.items()]
    tester = Node("listener")
    received = {kind: [] for kind in ((Image, "image"), (CameraInfo, "camera_info"))} | {
        (ObjectPoseArray, "camera/ground_truth"): []
    }
    for (kind, topic), messages in received.items():
        tester.create_subscription(kind, topic, messages.append, 50)
    camera = CameraNode(parameter_overrides=overrides)
    executor = SingleThreadedExecutor()
    executor.add_node(tester)
    executor.add_node(camera)
    images, infos, truths = received.values()
    deadline = tester.get_clock().now().nanoseconds + PATIENCE * 1e9
    while min(len(images), len(infos)) < count and ros.ok():
        assert tester.get_clock().now().nanoseconds < deadline, "waited in vain"
        executor.spin_once(timeout_sec=0.1)
    camera.destroy_node()
    tester.destroy_node()
    return images, infos, truths


def test_images_carry_stamp_frame_and_calibration(ros, folder, tmp_path):
    calibration = tmp_path / "camera.json"
    calibration.write_text('{"fx": 60, "fy": 61, "cx": 32, "cy": 24, "width": 64, "height": 48}')
    images, infos, truths = shoot(
        ros, 4, source=str(folder), camera_file=str(calibration), rate=50.0, frame_id="front"
    )
    assert {tuple(image_to_rgb(i)[0, 0].tolist()) for i in images} == set(RGB)
    # Discovery may cost one kind an image or two at the start; then they go in pairs.
    stamps, info_stamps = ([m.header.stamp.nanosec for m in kind] for kind in (images, infos))
    assert len(set(stamps)) == len(stamps)
    assert stamps[-2:] == info_stamps[-2:]
    assert {m.header.frame_id for m in (*images, *infos)} == {"front"}
    camera = camera_from_info(infos[0], rectified=False)
    np.testing.assert_array_equal(camera.K, [[60, 0, 32], [0, 61, 24], [0, 0, 1]])
    assert not truths


def test_without_calibration_camera_info_says_so(ros, folder):
    _, infos, _ = shoot(ros, 1, source=str(folder), rate=50.0)
    assert not np.any(infos[0].k)
    assert (infos[0].width, infos[0].height) == (64, 48)


def test_node_ends_with_its_source(ros, folder):
    shoot(ros, 10, source=str(folder), rate=50.0, loop=False)
    assert not ros.ok()


@pytest.mark.parametrize(
    ("parameters", "complaint"),
    [
        ({"source": "/nowhere"}, "no folder, file or device"),
        ({"source": "."} | {"camera_file": "/nowhere.yaml"}, "nowhere.yaml"),
        ({"source": "synthetic", "objects_path": "/nowhere"}, "nowhere"),
        ({"source": "synthetic", "scene_file": "/nowhere.yaml"}, "nowhere.yaml"),
    ],
)
def test_unusable_sources_are_refused(ros, parameters, complaint):
    overrides = [Parameter(name, value=value) for name, value in parameters.items()]
    with pytest.raises(CasaposeError, match=complaint):
        CameraNode(parameter_overrides=overrides)
