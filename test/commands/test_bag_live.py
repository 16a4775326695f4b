"""``casapose bag evaluate --live`` without ROS: a stand-in for the replay answers."""

import json

import numpy as np
import pytest
from bop_folder import BopFolder
from exact_fields import box_object, random_pose

from casapose_ros import cli
from casapose_ros.bags import live
from casapose_ros.bags.frames import BagSource
from casapose_ros.bundle import save_bundle
from casapose_ros.evaluation.answers import Answer, AnswerLog
from casapose_ros.evaluation.delivery import (
    ANSWERS_FILE,
    DELIVERY_FILE,
    Delivery,
    Drops,
    SentImage,
    read_delivery,
    write_delivery,
)
from casapose_ros.evaluation.record_log import read_log
from casapose_ros.network import NetworkConfig, build_network
from casapose_ros.types import ObjectPose

OBJECTS = (box_object(1), box_object(2, (0.1, 0.1, 0.1)))
IMAGES = 6


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    """A bundle that is never run, a BOP folder, and bags with and without its truth."""
    path = tmp_path_factory.mktemp("live")
    rng = np.random.default_rng(3)
    placed = [[(OBJECTS[i % 2], *random_pose(rng))] for i in range(IMAGES)]
    folder = BopFolder(path / "boxes", OBJECTS, placed)
    network = build_network(NetworkConfig(num_objects=2, width=0.125))
    save_bundle(path / "model", network, OBJECTS, name="boxes", input_size=(320, 240))
    camera = {"fx": 500, "fy": 500, "cx": 320, "cy": 240, "width": 640, "height": 480}
    (path / "camera.json").write_text(json.dumps(camera))
    names = ["--model", str(path / "model")]
    assert cli.main(["bag", "from-bop", str(folder.path), str(path / "bag"), *names]) == 0
    images = str(folder.scene_path / "rgb")
    given = ["--camera", str(path / "camera.json")]
    assert cli.main(["bag", "from-images", images, str(path / "bare"), *given]) == 0
    return path


@pytest.fixture
def evaluate(data, tmp_path, monkeypatch):
    """Runs the command; ``answered`` are the numbers of the images with an answer."""

    def run(
        *arguments, bags=("bag",), answered=range(IMAGES), complete=True, objects=True, dies=False
    ):
        def stand_in(path, topics, options, out):
            stand_in.called = topics, options
            live.make_folder(out)
            delivery = answer(data, out, answered, complete)
            if dies:
                raise live.ReplayDied("the replay died (status -9)")
            return delivery

        monkeypatch.setattr(live, "replay_live", stand_in)
        paths = [str(data / bag) for bag in bags]
        command = ["bag", "evaluate", *paths, "--model", str(data / "model"), "--live"]
        command += ["--objects", str(data / "boxes")] if objects else []
        status = cli.main([*command, "--report", str(tmp_path / "out"), *arguments])
        return status, getattr(stand_in, "called", None)

    return run


def answer(data, out, answered, complete):
    """What a node that is always right leaves."""
    frames = list(BagSource(data / "bag", OBJECTS).frames())
    images = tuple(
        SentImage(f.stamp, 0.1 * i, 0.0, *((0.09, 0.1) if i in answered else ()))
        for i, f in enumerate(frames)
    )
    with AnswerLog(out / ANSWERS_FILE) as log:
        for i in answered:
            poses = tuple(pose_of(truth) for truth in frames[i].truths)
            log.append(Answer(frames[i].stamp, poses, estimation=0.06, latency=0.09))
    problems = () if complete else ("the replay ended after 6 images: stopped",)
    delivery = Delivery(
        images, Drops(busy=IMAGES - len(answered)), 1.0, False, 5.0, complete, problems
    )
    write_delivery(delivery, out / DELIVERY_FILE)
    return delivery


def pose_of(truth):
    return ObjectPose(
        name=truth.name,
        class_id=1 + [o.name for o in OBJECTS].index(truth.name),
        instance_id=0,
        score=0.9,
        R_cam_obj=truth.R_cam_obj,
        t_cam_obj=truth.t_cam_obj,
        covariance=np.eye(6) * 1e-6,
        keypoints=np.zeros((9, 2)),
        keypoint_covariances=np.tile(np.eye(2), (9, 1, 1)),
        box=(0.0, 0.0, 1.0, 1.0),
        visible_pixels=100,
        reprojection_error=float("nan"),
    )


def test_the_frames_that_got_through_are_measured(evaluate, tmp_path, capsys):
    status, (topics, options) = evaluate("--speed", "2", "--reliable", answered=[0, 2, 3, 5])
    assert status == 0
    assert (topics.image, topics.info, topics.rectified) == ("/image", "/camera_info", False)
    assert (options.speed, options.reliable, options.limit) == (2.0, True, None)
    out = tmp_path / "out"
    header, records = read_log(out / "frames.jsonl")
    assert header.settings["live"] == {"speed": 2.0, "reliable": True, "params": ""}
    assert len(records) == 4 and records[0].network_size == (320, 240)
    report = json.loads((out / "report.json").read_text())
    assert report["frames"] == 4
    (total,) = (s for s in report["summaries"] if s["name"] == "all")
    assert (total["targets"], total["recall_add_10"]) == (4, 1.0)
    assert "Live replay" in (out / "report.html").read_text()
    printed = capsys.readouterr().out
    assert "gave way to a newer image" in printed and "2 of 6 images got no answer" in printed


def test_a_replay_that_ended_early_is_reported_and_fails(evaluate, tmp_path, capsys):
    status, _ = evaluate(answered=[0, 1], complete=False)
    assert status == 1
    assert "the replay ended after 6 images" in capsys.readouterr().out
    assert json.loads((tmp_path / "out" / "report.json").read_text())["frames"] == 2


def test_what_came_before_the_replay_was_killed_is_reported_and_fails(evaluate, tmp_path, capsys):
    status, _ = evaluate(answered=[0, 1], dies=True)
    assert status == 1
    assert "the replay died (status -9)" in capsys.readouterr().out
    report = json.loads((tmp_path / "out" / "report.json").read_text())
    assert report["frames"] == 2
    assert "Live replay" not in (tmp_path / "out" / "report.html").read_text()


def test_nothing_answered_is_no_traceback(evaluate, tmp_path, capsys):
    status, _ = evaluate(answered=[])
    assert status == 0
    assert "no poses were measured: no image was answered" in capsys.readouterr().out
    assert not (tmp_path / "out" / "report.json").exists()


def test_bag_without_truth_gives_the_delivery_alone(evaluate, tmp_path, capsys):
    status, (topics, _) = evaluate(bags=("bare",), objects=False)
    assert status == 0 and topics.truth is None
    printed = capsys.readouterr().out
    assert "no poses were measured: the bag has no ground truth" in printed
    assert "latency" in printed
    assert read_delivery(tmp_path / "out" / DELIVERY_FILE).answered == IMAGES


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        (["--jobs", "2"], "--jobs means nothing with --live"),
        (["--cluster", "host:1"], "--cluster means nothing with --live"),
        (["--resume"], "--resume means nothing with --live"),
        (["--network-size", "native"], "--network-size means nothing with --live"),
        (["--max-instances", "2"], "--max-instances means nothing with --live"),
        (["--speed", "0"], "speed must be positive"),
        (["--params", "nowhere.yaml"], "nowhere.yaml: no such file"),
        (["--image-topic", "/other"], "no topic /other"),
        (["--truth-topic", "/other"], "no topic /other"),
        (["--model", "nowhere"], "nowhere is no model bundle"),
    ],
)
def test_what_makes_no_sense_is_refused_before_the_replay(evaluate, capsys, arguments, complaint):
    status, called = evaluate(*arguments)
    assert (status, called) == (2, None)
    assert complaint in capsys.readouterr().err


def test_truth_without_meshes_is_refused_before_the_replay(evaluate, capsys):
    status, called = evaluate(objects=False)
    assert (status, called) == (2, None)
    assert "--objects is missing: the bag has ground truth" in capsys.readouterr().err


def test_one_bag_and_one_camera_at_a_time(evaluate, capsys):
    assert evaluate(bags=("bag", "bare")) == (2, None)
    assert "--live replays one bag, got 2" in capsys.readouterr().err
    topics = ["--image-topic", "/image", "--image-topic", "/other"]
    assert evaluate(*topics) == (2, None)
    assert "--live replays one camera, got 2" in capsys.readouterr().err
