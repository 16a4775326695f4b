"""What becomes of a bag's messages before they are published."""

import numpy as np
import pytest
from ros_fakes import CAMERA, HEIGHT, WIDTH
from sensor_msgs.msg import CameraInfo

from casapose_ros.bags import message_types as types
from casapose_ros.bags import messages
from casapose_ros.bags.writing import BagWriter
from casapose_ros.errors import DatasetError
from casapose_ros.ros.conversions import camera_from_info
from casapose_ros.ros.replay_bag import Recording

SECOND = 10**9
START = 1_700_000_000 * SECOND
PIXELS = np.random.default_rng(0).integers(0, 256, (HEIGHT, WIDTH, 3)).astype(np.uint8)


@pytest.fixture
def bag(tmp_path):
    """Writes a bag of (topic, type, log time, message)."""

    def make(*items):
        with BagWriter(tmp_path / "bag.mcap") as writer:
            for topic, kind, time, message in items:
                writer.write(topic, kind, time, message)
        return tmp_path / "bag"

    return make


def info(stamp=START):
    message = messages.camera_info(messages.header(stamp, "lens"), CAMERA)
    return "/info", types.CAMERA_INFO, stamp, message


def raw(stamp=START, log_time=None):
    message = messages.image(messages.header(stamp, "lens"), PIXELS)
    return "/image", types.IMAGE, stamp if log_time is None else log_time, message


def compressed(data, stamp=START):
    message = messages.compressed_image(messages.header(stamp, "lens"), data, "png")
    return "/image", types.COMPRESSED_IMAGE, stamp, message


def test_raw_images_go_out_as_they_were_recorded(bag):
    item = raw(log_time=START + 30_000_000)
    item[-1].encoding, item[-1].is_bigendian = "bgr8", 1
    recording = Recording(bag(info(), item), "/image", "/info")
    first, second = recording
    assert camera_from_info(first, rectified=False).K.tolist() == CAMERA.K.tolist()
    message = second.message
    assert (message.width, message.height, message.step) == (WIDTH, HEIGHT, 3 * WIDTH)
    assert (message.encoding, message.is_bigendian, message.header.frame_id) == ("bgr8", 1, "lens")
    assert bytes(message.data) == PIXELS.tobytes()
    assert (second.stamp, second.time, second.delay) == (START, START + 30_000_000, 30_000_000)
    assert recording.problems == []
    assert len(list(recording)) == 2, "it can be played again"


def test_compressed_images_are_decoded(bag):
    recording = Recording(bag(info(), compressed(messages.compress(PIXELS, "png"))), "/image", None)
    (item,) = recording
    assert (item.message.encoding, item.message.header.frame_id) == ("rgb8", "lens")
    assert bytes(item.message.data) == PIXELS.tobytes()


def test_damaged_images_are_left_out_and_counted(bag):
    good = messages.compress(PIXELS, "png")
    stamps = [START + n * SECOND for n in range(4)]
    data = [good[:100], good, b"", good]
    items = [compressed(d, stamp) for d, stamp in zip(data, stamps, strict=True)]
    recording = Recording(bag(info(), *items), "/image", "/info")
    assert recording.first_image.stamp == stamps[1]
    assert [item.stamp for item in recording if not isinstance(item, CameraInfo)] == stamps[1::2]
    assert recording.problems[-1].endswith("bag: 2 images cannot be decoded: not sent")


@pytest.mark.parametrize("delay", [-1, SECOND + 1, 3600 * SECOND])
def test_stamps_of_another_clock_have_no_delay(bag, delay):
    recording = Recording(bag(raw(log_time=START + delay)), "/image", None)
    (item,) = recording
    assert (item.time, item.delay) == (START + delay, 0)
    assert "1 images with a stamp that does not fit" in recording.problems[0]


def test_limit_counts_images(bag):
    stamps = [START + n * SECOND for n in range(5)]
    items = [item for stamp in stamps for item in (info(stamp), raw(stamp))]
    recording = Recording(bag(*items), "/image", "/info", limit=2)
    assert len(recording) == 2
    assert [isinstance(item, CameraInfo) for item in recording] == [True, False, True, False]


def test_a_late_calibration_is_found_at_once(bag):
    stamps = [START + n * SECOND for n in range(3)]
    path = bag(*(raw(stamp) for stamp in stamps), info(stamps[-1]))
    recording = Recording(path, "/image", "/info")
    assert recording.first_info.width == WIDTH and recording.first_image.stamp == START


@pytest.mark.parametrize(
    ("image_topic", "info_topic", "complaint"),
    [
        ("/nothing", "/info", "no image on /nothing; it has /image .sensor_msgs/msg/Image, 1"),
        ("/image", "/nothing", "no camera_info on /nothing"),
        ("/info", "/info", "no image on /info"),
        ("/image", "/image", "no camera_info on /image"),
    ],
)
def test_topics_without_the_right_messages_are_refused(bag, image_topic, info_topic, complaint):
    with pytest.raises(DatasetError, match=complaint):
        Recording(bag(info(), raw()), image_topic, info_topic)
