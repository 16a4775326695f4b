"""A bag replayed over DDS to a node in a process of its own."""

import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from ros_fakes import CAMERA, CUP, DRILL, HEIGHT, WIDTH, make_pose

from casapose_ros.bags import message_types as types
from casapose_ros.bags import messages
from casapose_ros.bags.frames import BagSource
from casapose_ros.bags.writing import BagWriter
from casapose_ros.errors import DatasetError
from casapose_ros.evaluation.answers import join_answers, read_answers
from casapose_ros.evaluation.delivery import Delivery, Drops, SentImage, read_delivery
from casapose_ros.evaluation.matching import Outcome, Reference, match_frame
from casapose_ros.ros import replay
from casapose_ros.ros.child import NodeError

SECOND = 10**9
START = 1_700_000_000 * SECOND
POSES = (make_pose(CUP), make_pose(DRILL, score=0.5))
TOPICS = ("--image-topic", "/cam/image", "--info-topic", "/cam/camera_info")
PROGRAM = (
    "import sys; from casapose_ros.ros import replay; sys.exit(replay.main(None, 'stand_in_node'))"
)
REFERENCES = {model.name: Reference(model, model.keypoints) for model in (CUP, DRILL)}


@pytest.fixture(autouse=True)
def stand_in(monkeypatch):
    """Lets the replay find the stand-in node."""
    paths = [str(Path(__file__).parent), os.environ.get("PYTHONPATH", "")]
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join(paths))
    monkeypatch.setenv("ROS_DOMAIN_ID", os.environ["ROS_DOMAIN_ID"])
    return monkeypatch


def make_bag(path, stamps, compressed=False, delay=30_000_000):
    """A bag with an image per stamp, its calibration and its truth."""
    pixels = np.full((HEIGHT, WIDTH, 3), 100, np.uint8)
    with BagWriter(path) as writer:
        for stamp in stamps:
            head = messages.header(stamp, "lens")
            time = stamp + delay
            truth = messages.ground_truth(head, POSES)
            writer.write("/truth", types.OBJECT_POSE_ARRAY, time, truth)
            info = messages.camera_info(head, CAMERA)
            writer.write("/cam/camera_info", types.CAMERA_INFO, time, info)
            if compressed:
                message = messages.compressed_image(head, messages.compress(pixels, "png"), "png")
                writer.write("/cam/image", types.COMPRESSED_IMAGE, time, message)
            else:
                writer.write("/cam/image", types.IMAGE, time, messages.image(head, pixels))
    return path


def run(bag, out, *arguments):
    given = [str(bag), "--model", "none", "--out", str(out), *TOPICS, *arguments]
    return replay.run(replay.parse_arguments(given), "stand_in_node", os.getppid())


def stamps(count, rate):
    return [START + i * SECOND // rate for i in range(count)]


def test_replay_measures_what_a_robot_would_see(tmp_path):
    bag = make_bag(tmp_path / "bag.mcap", stamps(20, 10))
    delivery = run(bag, tmp_path / "out", "--reliable")
    assert (delivery.sent, delivery.answered) == (20, 20)
    assert delivery.rate == pytest.approx(10, rel=0.05)
    # The stand-in takes 20 ms. The camera's stamps were 30 ms old when they were recorded.
    assert np.all(delivery.latencies > 0.02) and np.median(delivery.latencies) < 0.2
    assert np.all(delivery.ages > 0.05) and np.median(delivery.ages) < 0.25
    assert delivery.problems == () or "keep its pace" in delivery.problems[0]
    assert read_delivery(tmp_path / "out" / "delivery.json") == delivery

    source = BagSource(bag, (CUP, DRILL))
    answers = read_answers(tmp_path / "out" / "answers.jsonl")
    records = list(join_answers(answers, source.frames(), lambda camera: (WIDTH, HEIGHT)))
    assert [r.stamp for r in records] == stamps(20, 10)
    assert [sum(r.times.values()) for r in records] == pytest.approx(delivery.latencies.tolist())
    for record in records:
        matches = match_frame(record.name, record.poses, record.truths, REFERENCES, record.camera)
        assert [m.outcome for m in matches] == [Outcome.CORRECT] * 2


@pytest.mark.slow
def test_slow_node_compressed_images_and_a_jump_of_the_clock(tmp_path, stand_in):
    stand_in.setenv("STAND_IN_SECONDS", "0.25")
    times = stamps(30, 10)
    times[15:] = [t - 7200 * SECOND for t in times[15:]]
    bag = make_bag(tmp_path / "bag.mcap", times, compressed=True)
    params = tmp_path / "params.yaml"
    params.write_text("casapose:\n  ros__parameters:\n    score_threshold: 0.8\n")
    delivery = run(bag, tmp_path / "out", "--reliable", "--params", str(params))
    answers = read_answers(tmp_path / "out" / "answers.jsonl")
    assert {pose.name for answer in answers.values() for pose in answer.poses} == {"cup"}
    drops = delivery.drops
    assert delivery.sent == 30 and 8 <= delivery.answered <= 14
    assert drops.busy + drops.lost == delivery.dropped and drops.busy >= 12
    assert np.all(delivery.latencies < 1.0)
    assert "1 steps of the recording's clock" in delivery.problems[0]
    assert delivery.images[-1].sent == pytest.approx(2.9, abs=0.2)


@pytest.mark.slow
def test_what_came_before_the_node_died_is_kept(tmp_path, stand_in):
    stand_in.setenv("STAND_IN_DIES_AFTER", "8")
    bag = make_bag(tmp_path / "bag.mcap", stamps(50, 10))
    delivery = run(bag, tmp_path / "out", "--reliable")
    assert 3 <= delivery.answered <= 6 and delivery.sent < 50
    assert "stand_in_node ended with status 7" in delivery.problems[0]
    assert "out of memory" in delivery.problems[0]
    assert len(read_answers(tmp_path / "out" / "answers.jsonl")) == delivery.answered


@pytest.mark.slow
def test_node_that_dies_at_once_is_an_error(tmp_path, stand_in):
    stand_in.setenv("STAND_IN_DIES_AFTER", "0")
    bag = make_bag(tmp_path / "bag.mcap", stamps(5, 10))
    with pytest.raises(NodeError, match="ended with status 7"):
        run(bag, tmp_path / "out", "--reliable")
    assert not (tmp_path / "out" / "delivery.json").exists()


def test_topics_that_are_not_there_are_told_before_a_node_starts(tmp_path):
    bag = make_bag(tmp_path / "bag.mcap", stamps(2, 10))
    with pytest.raises(DatasetError, match="/cam/image"):
        run(bag, tmp_path / "out", "--image-topic", "/front/image")
    assert not (tmp_path / "out" / "node.log").exists()


@pytest.mark.parametrize(
    "number", [signal.SIGINT, pytest.param(signal.SIGTERM, marks=pytest.mark.slow)]
)
def test_stopped_replay_keeps_its_answers_and_leaves_no_process(tmp_path, number):
    bag = make_bag(tmp_path / "bag.mcap", stamps(600, 10))
    given = [str(bag), "--model", "none", "--out", str(tmp_path), *TOPICS, "--reliable"]
    process = subprocess.Popen([sys.executable, "-c", PROGRAM, *given], start_new_session=True)
    answers = tmp_path / "answers.jsonl"
    deadline = time.monotonic() + 30
    while not answers.exists() or answers.stat().st_size < 3000:
        assert time.monotonic() < deadline and process.poll() is None
        time.sleep(0.05)
    (node,) = children(process.pid)
    process.send_signal(number)
    assert process.wait(15) == 0
    assert not Path(f"/proc/{node}").exists()
    delivery = read_delivery(tmp_path / "delivery.json")
    assert 0 < delivery.answered <= delivery.sent < 600
    assert "stopped before the end" in delivery.problems[0]


def test_killed_replay_leaves_no_process(tmp_path):
    bag = make_bag(tmp_path / "bag.mcap", stamps(600, 10))
    given = [str(bag), "--model", "none", "--out", str(tmp_path), *TOPICS, "--reliable"]
    process = subprocess.Popen([sys.executable, "-c", PROGRAM, *given], start_new_session=True)
    answers = tmp_path / "answers.jsonl"
    deadline = time.monotonic() + 30
    while not answers.exists() or answers.stat().st_size < 1000:
        assert time.monotonic() < deadline and process.poll() is None
        time.sleep(0.05)
    (node,) = children(process.pid)
    process.kill()
    process.wait(15)
    deadline = time.monotonic() + 10
    while running(node):
        assert time.monotonic() < deadline
        time.sleep(0.05)


def running(pid):
    """Whether a process is more than an entry that nobody has collected."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


def delivery(count=100, late=0.0, lost=0, reliable=False):
    images = tuple(SentImage(i, 0.1 * i, late, 0.1, 0.1) for i in range(count))
    return Delivery(images, Drops(lost=lost), 1.0, reliable, 3.0)


@pytest.mark.parametrize(
    ("given", "bridged", "words"),
    [
        (delivery(late=0.04, lost=9), 0, []),
        (delivery(lost=11), 0, ["11 images did not reach the node.*--reliable"]),
        (delivery(lost=11, reliable=True), 0, []),
        (delivery(late=0.06), 0, ["could not keep its pace.* over 0.060 s late"]),
        (delivery(), 2, ["2 steps of the recording's clock"]),
    ],
)
def test_what_was_not_as_recorded_is_told(given, bridged, words):
    said = list(replay._remarks(given, bridged))
    assert len(said) == len(words)
    assert all(re.search(word, text) for word, text in zip(words, said, strict=True))


def children(pid):
    return [int(p) for p in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
