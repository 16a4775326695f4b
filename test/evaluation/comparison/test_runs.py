"""Evaluations read back from their folders."""

import dataclasses
import json

import pytest
from evaluated_folders import MISSED, write_run
from judged_frames import judged

from casapose_ros.errors import DatasetError
from casapose_ros.evaluation.comparison.runs import read_run
from casapose_ros.evaluation.matching import Outcome
from casapose_ros.evaluation.summary import summarise

SHIFTS = [{"cube": 0.001, "block": 0.05}, {"cube": MISSED}, {}, {"block": 0.3}]


@pytest.fixture
def folder(tmp_path):
    return write_run(tmp_path / "run", SHIFTS)


def test_what_was_written_is_read(folder):
    run = read_run(folder)
    assert (run.model, run.data, run.min_visibility) == ("one", ("boxes", "test"), 0.4)
    assert run.names == ("cube", "block") and run.title == f"one ({folder})"
    assert list(run.frames) == ["000000", "000001", "000002", "000003"]
    first = run.frames["000000"]
    assert [t.name for t in first.truths] == ["cube", "block"]
    assert first.judgement.mask_ious == {"cube": 0.899, "block": 0.85}
    outcomes = {m.name: m.outcome for m in first.judgement.matches}
    assert outcomes == {"cube": Outcome.CORRECT, "block": Outcome.WRONG}
    (missed,) = run.frames["000001"].judgement.matches
    assert not missed.is_estimate and missed.truth == 0 and missed.errors.add == float("inf")
    assert run.frames["000002"].judgement.matches == []


def test_the_figures_are_those_of_the_report(tmp_path):
    """To the last bit: what is compared is what was reported. The third object is hidden."""
    shifts = [*SHIFTS, {"ball": 0.001, "cube": 0.01}]
    names = ("cube", "block", "ball")
    folder = write_run(tmp_path / "run", shifts, names=names, hidden=("ball",))
    run = read_run(folder)
    judgements = judged(frame.judgement for frame in run.frames.values())
    summaries = summarise(judgements, run.names, run.min_visibility)
    report = json.loads((folder / "report.json").read_text())
    for summary, written in zip(summaries, report["summaries"], strict=True):
        for name, value in dataclasses.asdict(summary).items():
            assert written[name] == (value if value == value else None), name


def test_a_folder_that_is_no_evaluation(tmp_path):
    with pytest.raises(DatasetError, match=r"report.json: no such file; compare wants the folder"):
        read_run(tmp_path)


@pytest.mark.parametrize("name", ["matches.csv", "frames.jsonl"])
def test_a_missing_file(folder, name):
    (folder / name).unlink()
    with pytest.raises(DatasetError, match=name):
        read_run(folder)


@pytest.mark.parametrize("text", ["", "{", "[]", "{}", '{"origin": {}, "frames": 4}', "\x00"])
def test_a_report_that_is_none(folder, text):
    (folder / "report.json").write_text(text)
    with pytest.raises(DatasetError, match="report.json"):
        read_run(folder)


def test_matches_of_an_older_version(folder):
    text = (folder / "matches.csv").read_text()
    (folder / "matches.csv").write_text(text.replace(",truth,", ",something,"))
    with pytest.raises(DatasetError, match="line 2 is not a match of this version"):
        read_run(folder)


@pytest.mark.parametrize(("old", "new"), [("correct", "splendid"), ("0.5", "half")])
def test_a_damaged_match_is_named_by_its_line(folder, old, new):
    text = (folder / "matches.csv").read_text()
    (folder / "matches.csv").write_text(text.replace(old, new, 1))
    with pytest.raises(DatasetError, match=r"matches.csv: line \d is not a match"):
        read_run(folder)


def test_every_cut_of_the_matches_is_noticed(folder):
    """Also one at the end of a line, and one within the digits of the last error."""
    text = (folder / "matches.csv").read_bytes()
    for end in range(len(text)):
        (folder / "matches.csv").write_bytes(text[:end])
        with pytest.raises(DatasetError):
            read_run(folder)


def test_an_estimate_of_an_absent_object_that_is_lost_is_noticed(tmp_path):
    """No true object misses it."""
    folder = write_run(tmp_path / "run", [{"cube": 0.001}, {"block": 0.001}])
    path = folder / "matches.csv"
    path.write_text(path.read_text() + "000001,cube,absent,0.5,,,,,,,,\n")
    with pytest.raises(DatasetError, match="are not of one run"):
        read_run(folder)


@pytest.mark.parametrize("name", ["report.json", "matches.csv", "frames.jsonl"])
def test_files_of_two_runs_are_noticed(folder, tmp_path, name):
    other = write_run(tmp_path / "other", [{"cube": 0.001}, {"block": 0.001}])
    (folder / name).write_bytes((other / name).read_bytes())
    with pytest.raises(DatasetError, match="are not of one run"):
        read_run(folder)


@pytest.mark.parametrize("name", ["report.json", "frames.jsonl"])
def test_files_of_two_runs_with_equal_counts_are_noticed(folder, tmp_path, name):
    """Another checkpoint that finds as many objects."""
    shifts = [{"cube": 0.002, "block": 0.05}, {"cube": MISSED}, {}, {"block": 0.3}]
    other = write_run(tmp_path / "other", shifts)
    (folder / name).write_bytes((other / name).read_bytes())
    with pytest.raises(DatasetError, match="are not of one run"):
        read_run(folder)


def test_a_report_of_another_format(folder):
    change_report(folder, format=2)
    with pytest.raises(DatasetError, match="report.json: .*its format is 2, not 1"):
        read_run(folder)


@pytest.mark.parametrize(
    "damage",
    [
        {"reliability": None},
        {"reliability": {}},
        {"times": {"network": {}}},
        {"times": {"all": {"mean": "fast"}}},
        {"bop": {"total": None}},
        {"bop": [1]},
        {"detection": {"objects": []}},
        {"detection": {"objects": [{"average_precisions": None}]}},
        {"summaries": [5]},
        {"origin": None},
    ],
)
def test_a_report_with_damaged_figures(folder, damage):
    change_report(folder, **damage)
    with pytest.raises(DatasetError, match="report.json: not a report of this version"):
        read_run(folder)


def change_report(folder, **values):
    path = folder / "report.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | values))


def test_a_run_that_went_on_without_a_report(folder):
    """A second run into the same folder was stopped: its log is longer than the report."""
    with (folder / "frames.jsonl").open("a") as file:
        last = json.loads((folder / "frames.jsonl").read_text().splitlines()[-1])
        file.write(json.dumps(last | {"name": "000009"}) + "\n")
    with pytest.raises(DatasetError, match="are not of one run"):
        read_run(folder)
