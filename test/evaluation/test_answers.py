import dataclasses
from pathlib import Path

import numpy as np
import pytest
from stand_ins import CAMERA, NumberedModel

from casapose_ros.errors import DatasetError, OutputError
from casapose_ros.evaluation.answers import Answer, AnswerLog, join_answers, read_answers
from casapose_ros.evaluation.judging import Frame
from casapose_ros.evaluation.matching import TrueObject

START = 1_700_000_000_123_456_789
IMAGE = np.full((16, 16, 3), 7, np.uint8)


def answer(number, **changes):
    (pose,) = NumberedModel().run(IMAGE, CAMERA).objects
    pose = dataclasses.replace(pose, score=0.1 * number, reprojection_error=np.nan)
    values = Answer(START + number, (pose,), estimation=0.06, latency=0.09)
    return dataclasses.replace(values, **changes)


def frame(number):
    truth = TrueObject("cube", np.eye(3), np.array([0, 0, 0.1 * number]), 1.0)
    stamp = START + number
    return Frame(f"bag/{stamp}", IMAGE, CAMERA, (truth,), source="bag", stamp=stamp)


@pytest.fixture
def path(tmp_path):
    return tmp_path / "answers.jsonl"


def write(path, *answers):
    with AnswerLog(path) as log:
        for given in answers:
            log.append(given)


def test_answers_come_back_to_the_last_digit(path):
    write(path, answer(1), answer(2, poses=()), answer(3, latency=1 / 3))
    again = read_answers(path)
    assert list(again) == [START + 1, START + 2, START + 3]
    assert again[START + 2].poses == () and again[START + 3].latency == 1 / 3
    (pose,), (expected,) = again[START + 1].poses, answer(1).poses
    for field in dataclasses.fields(pose):
        np.testing.assert_array_equal(getattr(pose, field.name), getattr(expected, field.name))


def test_the_first_answer_to_a_stamp_counts(path):
    write(path, answer(1, latency=0.5), answer(1, latency=0.7))
    assert read_answers(path)[START + 1].latency == 0.5


def test_answers_are_on_disk_at_once_and_a_torn_line_is_left_out(path):
    with AnswerLog(path) as log:
        log.append(answer(1))
        assert list(read_answers(path)) == [START + 1]
    text = path.read_text()
    for cut in range(0, len(text), 37):
        path.write_text(text + text[:cut])
        assert list(read_answers(path)) == [START + 1]


@pytest.mark.parametrize("line", ["{}", "[]", "1", "{", '{"poses": [1]}', '{"poses": [{}]}'])
def test_other_files_are_refused(path, line):
    path.write_text(line + "\n")
    with pytest.raises(DatasetError, match="not a log of answers"):
        read_answers(path)


def test_missing_file_and_folder(path):
    with pytest.raises(DatasetError, match="cannot be read"):
        read_answers(path)
    with pytest.raises(OutputError, match="cannot be written"):
        AnswerLog(path / "no" / "folder")


def test_full_disk_is_told():
    with AnswerLog(Path("/dev/full")) as log, pytest.raises(OutputError, match="No space left"):
        log.append(answer(1))


def test_frames_that_were_answered_become_records():
    answers = {a.stamp: a for a in (answer(1), answer(3, latency=0.05), answer(9))}
    frames = [frame(n) for n in range(5)]
    records = list(join_answers(answers, frames, lambda camera: (camera.width, 8)))
    assert [r.name for r in records] == [frames[1].name, frames[3].name]
    first, second = records
    assert first.poses is answers[START + 1].poses and first.truths is frames[1].truths
    assert (first.source, first.stamp, first.camera) == ("bag", START + 1, CAMERA)
    assert first.network_size == (CAMERA.width, 8)
    assert first.times == {"estimation": 0.06, "on the way": pytest.approx(0.03)}
    # A node whose clock is off may say that it worked longer than anybody waited.
    assert second.times == {"estimation": 0.06, "on the way": 0.0}
