import json

import numpy as np
import pytest
from ros_fakes import CAMERA, CUP, DRILL, MODELS, make_pose

from casapose_ros.evaluation.matching import Reference, TrueObject
from casapose_ros.ros.demo_report import headline, progress, table, write_poses
from casapose_ros.ros.demo_score import Scoreboard

REFERENCES = {name: Reference(model, model.keypoints) for name, model in MODELS.items()}
SECOND = 10**9


def truth(pose, visibility=1.0):
    return TrueObject(pose.name, pose.R_cam_obj, pose.t_cam_obj, visibility)


@pytest.fixture
def board():
    return Scoreboard(REFERENCES, CAMERA)


def test_no_score_before_the_first_answer(board):
    board.add_truth(SECOND, [truth(make_pose(CUP))])
    assert board.score() is None
    assert (board.frames_in, board.frames_out) == (1, 0)


@pytest.mark.parametrize("truth_first", [True, False])
def test_answers_meet_their_truth_by_stamp(board, truth_first):
    for i in range(10):
        pose = make_pose(CUP, t=(0.01 * i, 0.0, 0.5))
        calls = [
            lambda i=i, pose=pose: board.add_truth(i * SECOND, [truth(pose)]),
            lambda i=i, pose=pose: board.add_answer(i * SECOND, [pose], 0.1 + 0.01 * i),
        ]
        for call in calls if truth_first else reversed(calls):
            call()
    score = board.score()
    assert (score.frames_in, score.frames_out, score.seconds) == (10, 10, 9)
    assert score.input_hz == score.output_hz == 1
    assert score.latency_p50 == pytest.approx(0.145)
    assert (score.total.targets, score.total.recall_add_10) == (10, 1)
    assert score.total.median_translation == 0
    assert score.passed


def test_images_before_the_first_answer_do_not_count(board):
    for i in range(10):
        board.add_truth(i * SECOND, [truth(make_pose(CUP))])
    for i in (4, 8):
        board.add_answer(i * SECOND, [make_pose(CUP)], 0.1)
    score = board.score()
    assert (score.frames_in, score.frames_out, score.total.targets) == (5, 2, 2)


def test_misses_wrong_poses_and_inventions_are_told_apart(board):
    board.add_truth(0, [truth(make_pose(CUP)), truth(make_pose(DRILL), visibility=0.2)])
    board.add_answer(0, [], 0.1)
    board.add_truth(1, [truth(make_pose(CUP))])
    board.add_answer(1, [make_pose(CUP, t=(0.1, 0.1, 0.6)), make_pose(DRILL)], 0.1)
    total = board.score().total
    assert (total.targets, total.found, total.wrong, total.absent) == (2, 1, 1, 1)
    assert total.recall_add_10 == 0
    assert not board.score().passed


def test_nothing_asked_for_is_not_passed(board):
    board.add_truth(0, [])
    board.add_answer(0, [], 0.1)
    score = board.score()
    assert np.isnan(score.total.recall_add_10) and np.isnan(score.input_hz)
    assert not score.passed
    table(score)


def test_report_and_poses_file(board, tmp_path):
    from rich.console import Console

    board.add_truth(0, [truth(make_pose(CUP)), truth(make_pose(DRILL))])
    board.add_answer(0, [make_pose(CUP)], 0.125)
    score = board.score()
    console = Console(width=140, record=True, file=(tmp_path / "out.txt").open("w"))
    console.print(progress(board, "fine", 1.0, 60.0), headline(score), table(score))
    text = console.export_text()
    for expected in ("50% of 2 objects", "1 images in", "125 ms median", "drill"):
        assert expected in text

    path = tmp_path / "poses.json"
    write_poses(path, "demo", board, score)
    document = json.loads(path.read_text())
    (frame,) = document["frames"]
    assert (document["model"], frame["latency"]) == ("demo", 0.125)
    assert frame["objects"][0]["t"] == [0.05, -0.02, 0.6]
    assert [t["name"] for t in frame["truth"]] == ["cup", "drill"]
    assert document["score"]["passed"] is False
