"""Report files: complete, readable by machines, one page that needs nothing else."""

import base64
import csv
import io
import json
import re

import cv2
import numpy as np
import pytest
from rich.console import Console

from casapose_ros.evaluation import html, report
from casapose_ros.evaluation.calibration import reliability
from casapose_ros.evaluation.matching import Judgement, match_frame
from casapose_ros.evaluation.summary import summarise


@pytest.fixture
def make_report(references, camera, true_object, estimate_of):
    """A run over one frame: a right cube, a bar that is far off, unless told otherwise."""

    def make(estimates=None, truths=None) -> report.Report:
        cube, bar = true_object("cube"), true_object("bar", x=0.2)
        if estimates is None:
            estimates = [estimate_of(cube), estimate_of(bar, shift=(0, 0.3, 0), score=0.3)]
        truths = [cube, bar] if truths is None else truths
        matches = match_frame("000000/000001", estimates, truths, references, camera)
        return report.Report(
            model="demo <8>",
            dataset="held_out",
            split="test",
            frames=1,
            network_size=(640, 480),
            min_visibility=0.4,
            created="2025-01-01T12:00:00",
            versions={"casapose_ros": "0.1.0"},
            ignored={7: 3},
            times={"network": 0.2, "pnp": 0.01},
            summaries=summarise([Judgement(matches, {"cube": 0.9})], ["cube", "bar"], 0.4),
            reliability=reliability(matches),
            matches=matches,
        )

    return make


def test_json_holds_the_figures_and_null_for_the_unknown(make_report, tmp_path):
    report.write_json(make_report(), tmp_path / "report.json")
    values = json.loads((tmp_path / "report.json").read_text())
    cube, bar, total = values["summaries"]
    assert (cube["name"], cube["recall_add_10"]) == ("cube", 1.0)
    assert bar["recall_add_10"] == 0.0 and bar["mean_mask_iou"] is None
    assert total["wrong"] == 1 and total["wrong_rate"] == 0.5 and total["absent_rate"] == 0
    assert values["times"] == {"network": 0.2, "pnp": 0.01}
    assert values["ignored"] == {"7": 3}
    assert sum(values["reliability"]["counts"]) == 2


def test_csv_files_hold_one_line_per_object_and_match(make_report, tmp_path):
    result = make_report()
    report.write_summary_csv(result.summaries, tmp_path / "objects.csv")
    report.write_matches_csv(result.matches, tmp_path / "matches.csv")
    with (tmp_path / "objects.csv").open() as file:
        objects = list(csv.DictReader(file))
    with (tmp_path / "matches.csv").open() as file:
        matches = list(csv.DictReader(file))
    assert [row["name"] for row in objects] == ["cube", "bar", "all"]
    assert {row["name"]: row["outcome"] for row in matches} == {"cube": "correct", "bar": "wrong"}
    assert [float(row["translation"]) for row in matches] == pytest.approx([0.3, 0])


def test_errors_of_a_missed_object_are_empty_in_the_csv(make_report, true_object, tmp_path):
    result = make_report(estimates=[], truths=[true_object("cube")])
    report.write_matches_csv(result.matches, tmp_path / "matches.csv")
    with (tmp_path / "matches.csv").open() as file:
        (row,) = csv.DictReader(file)
    assert row["outcome"] == "missed"
    assert row["score"] == row["add"] == row["keypoints"] == ""


def test_table_and_headlines_say_the_bar(make_report):
    result = make_report()
    console = Console(width=100, record=True, file=io.StringIO())
    console.print(report.table(result))
    text = console.export_text()
    assert re.search(r"cube\s+1\s+100\.0", text) and re.search(r"all\s+2\s+50\.0", text)
    lines = "\n".join(report.headlines(result))
    assert "recall 50.0 %" in lines and "0 of 2 estimates (0.0 %)" in lines
    assert "1 (50.0 %) have a wrong pose" in lines
    assert "7 (3)" in lines


def test_the_page_is_whole_and_asks_for_no_other_file(make_report):
    picture = html.Picture("000000/000001: bar", np.full((48, 64, 3), (200, 10, 10), np.uint8))
    text = html.page(make_report(), [picture])
    assert "demo &lt;8&gt;" in text and "<8>" not in text
    assert not re.search(r'(src|href)="(?!data:)', text)
    images = re.findall(r'src="data:image/(png|jpeg);base64,([^"]+)"', text)
    assert [kind for kind, _ in images] == ["png", "png", "png", "jpeg"]
    for _, data in images:
        decoded = cv2.imdecode(np.frombuffer(base64.b64decode(data), np.uint8), cv2.IMREAD_COLOR)
        assert decoded is not None and decoded.size > 0
    assert decoded[24, 32].tolist() == pytest.approx([10, 10, 200], abs=4), "RGB was kept"


def test_a_run_without_any_estimate_or_target_still_has_a_page(make_report, tmp_path):
    result = make_report(estimates=[], truths=[])
    text = html.page(result, [])
    assert "–" in text and "Worst frames" not in text
    report.write_json(result, tmp_path / "report.json")
    values = json.loads((tmp_path / "report.json").read_text())
    assert values["summaries"][-1]["recall_add_10"] is None
