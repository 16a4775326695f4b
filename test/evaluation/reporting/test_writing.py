"""The files of a report: complete, readable by machines, replaced at once."""

import csv
import dataclasses
import json

import cv2
import numpy as np
import pytest
from made_reports import full_report, made_report, worst_pictures

from casapose_ros.errors import OutputError
from casapose_ros.evaluation.reporting import writing
from casapose_ros.evaluation.reporting.pictures import Picture

CHARTS = {"recall_add", "recall_projection", "errors", "precision", "reliability", "latency"}


def read_csv(path) -> list[dict[str, str]]:
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


def test_json_holds_every_figure(tmp_path):
    report = full_report()
    writing.write_json(report, tmp_path / "report.json")
    values = json.loads((tmp_path / "report.json").read_text())
    fields = {field.name for field in dataclasses.fields(report)} - {"judgements"}
    assert set(values) == fields | {"format"} and None not in values.values()
    first, second, total = values["summaries"]
    assert (first["name"], first["recall_add_10"], second["recall_add_10"]) == ("object_00", 0, 1)
    assert total["wrong"] == 8 and total["wrong_rate"] == pytest.approx(2 / 3)
    assert values["origin"]["model"] == "demo <8>" and values["ignored"] == {"77": 3}
    assert values["times"]["network"]["median"] == pytest.approx(0.115)
    assert values["times"]["all"]["count"] == 4
    assert sum(values["reliability"]["counts"]) == 12
    assert values["delivery"]["dropped"] == values["delivery"]["drops"]["busy"] == 1
    assert values["bop"]["total"]["vsd"] is None


def test_the_report_that_names_its_records_is_written_last(tmp_path, monkeypatch):
    """So that a run that is stopped while it writes leaves no mixture that looks whole."""

    def stop(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr(writing, "page", stop)
    with pytest.raises(KeyboardInterrupt):
        writing.write_report(full_report(), worst_pictures(1), tmp_path)
    assert (tmp_path / "matches.csv").exists() and not (tmp_path / "report.json").exists()


def test_json_has_null_for_the_unknown(tmp_path):
    writing.write_json(made_report(frames=0), tmp_path / "report.json")
    values = json.loads((tmp_path / "report.json").read_text())
    assert values["summaries"][-1]["recall_add_10"] is None
    assert values["bop"] is None and values["not_measured"] == {"bop": "nobody asked for it"}
    assert values["times"] == {} and values["delivery"] is None


def test_csv_files_hold_one_line_per_object_and_match(tmp_path):
    report = made_report(objects=3, frames=1)
    writing.write_summary_csv(report.summaries, tmp_path / "objects.csv")
    writing.write_matches_csv(report.judgements, tmp_path / "matches.csv")
    objects, matches = (read_csv(tmp_path / f"{name}.csv") for name in ("objects", "matches"))
    assert [row["name"] for row in objects] == ["object_00", "object_01", "object_02", "all"]
    assert [(row["name"], row["outcome"], row["truth"]) for row in matches] == [
        ("object_00", "wrong", "0"),
        ("object_01", "missed", "1"),
        ("object_02", "correct", "2"),
        ("object_02", "wrong", ""),
    ]
    assert float(matches[0]["translation"]) == pytest.approx(0.05)
    assert matches[1]["score"] == matches[1]["add"] == matches[1]["keypoints"] == ""


def test_every_chart_and_frame_is_a_picture_of_its_own(tmp_path):
    worst = worst_pictures(2)
    writing.write_report(made_report(), worst, tmp_path)
    files = {path.name for path in (tmp_path / "pictures").iterdir()}
    frames = {"worst-01-scene-000000.png", "worst-02-scene-000001.png"}
    assert files == {f"chart-{name}.png" for name in CHARTS} | frames
    picture = cv2.imread(str(tmp_path / "pictures" / "worst-02-scene-000001.png"))
    assert np.array_equal(picture[..., ::-1], worst[1].image)


def test_an_earlier_report_is_replaced_and_nothing_else(tmp_path):
    writing.write_report(full_report(), worst_pictures(3), tmp_path)
    (tmp_path / "notes.txt").write_text("mine")
    (tmp_path / "pictures" / "mine.png").write_bytes(b"mine")
    writing.write_report(made_report(frames=0), [], tmp_path)
    assert [path.name for path in (tmp_path / "pictures").iterdir()] == ["mine.png"]
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        "matches.csv", "notes.txt", "objects.csv", "pictures", "report.html", "report.json",
    ]  # fmt: skip


@pytest.mark.parametrize("name", ["../../up", "/abs/olute", "bag.mcap:/camera/image@17", "ä" * 300])
def test_names_of_frames_become_harmless_file_names(tmp_path, name):
    picture = Picture(name, "", np.zeros((4, 4, 3), np.uint8))
    writing.write_pictures({}, [picture], tmp_path / "pictures")
    (file,) = tmp_path.rglob("*.png")
    assert file.parent == tmp_path / "pictures" and len(file.name) < 120


def test_a_folder_that_cannot_be_made_is_named(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(OutputError, match="file"):
        writing.write_report(made_report(), [], tmp_path / "file")
