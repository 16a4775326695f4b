"""``casapose compare``: what it prints and writes, and its exit status."""

import json
import re

import pytest
from evaluated_folders import MISSED, write_run

from casapose_ros import cli
from casapose_ros.commands.compare import EXIT_REGRESSION
from casapose_ros.evaluation.comparison.figures import FIGURES

RIGHT, WRONG = 0.004, 0.06


@pytest.fixture
def folders(tmp_path):
    """Ten frames; the second run is wrong in three that the first had right."""
    before = [{"cube": RIGHT, "block": WRONG}] * 10
    after = [{"cube": WRONG, "block": WRONG}] * 3 + [{"cube": RIGHT, "block": MISSED}] * 7
    return [
        write_run(tmp_path / "<old>", before, model="old & good"),
        write_run(tmp_path / "new", after, model="new"),
    ]


@pytest.fixture
def compare(monkeypatch, capsys):
    """Run the command; returns its exit status, output and errors."""

    def run(*arguments):
        monkeypatch.setenv("COLUMNS", "100")
        status = cli.main(["compare", *map(str, arguments)])
        captured = capsys.readouterr()
        return status, captured.out, captured.err

    return run


def test_two_runs_side_by_side(compare, folders):
    status, printed, _ = compare(*folders)
    assert status == 0
    assert f"before: old & good ({folders[0]})" in printed and "after: new" in printed
    assert "on boxes/test: 10 frames that both have" in printed
    assert re.search(
        r"ADD 10 %\s+50\.0\s+35\.0\s+-15\.0\s+-30\.0 to 0\.0\s+0\.250\s+1\.000", printed
    )
    assert re.search(r"cube\s+100\.0\s+70\.0\s+-30\.0", printed)
    assert "frames that lost most correct poses: 000000 (1), 000001 (1), 000002 (1)" in printed


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        (["--max-drop", "add=20"], 0),
        (["--max-drop", "add=10"], EXIT_REGRESSION),
        (["--max-drop", "add=20", "--max-drop", "add20=5"], EXIT_REGRESSION),
        (["--max-drop", "add=10", "--alpha", "0.05"], 0),
        (["--max-drop", "add=10", "--alpha", "0.5"], EXIT_REGRESSION),
        (["--max-drop", "add=10", "--max-drop", "absent=0", "--alpha", "0.5"], 0),
        (["--max-drop", "wrong=0"], 0),
    ],
)
def test_the_exit_status_is_the_gates(compare, folders, options, expected):
    status, printed, _ = compare(*folders, *options)
    assert status == expected
    assert ("regression: ADD" in printed) == (expected == EXIT_REGRESSION)


def test_the_better_run_passes_every_gate(compare, folders):
    limits = [f"--max-drop={key}=0" for key in ("add", "add20", "auc", "2dp", "5cm5deg", "map")]
    assert compare(*folders[::-1], *limits)[0] == 0


def test_what_is_written(compare, folders, tmp_path):
    out = tmp_path / "deep" / "out"
    status, printed, _ = compare(*folders, "--max-drop", "add=1", "--out", out)
    assert status == EXIT_REGRESSION and "comparison.html" in printed
    values = json.loads((out / "comparison.json").read_text())
    assert [o["name"] for o in values["objects"]] == ["cube", "block", "all"]
    total = {change["figure"]: change for change in values["objects"][-1]["changes"]}
    assert total["add"]["difference"] == pytest.approx(-0.15)
    assert total["add"]["low"] == pytest.approx(-0.3) and total["add"]["p_value"] == 0.25
    assert total["add"]["p_corrected"] == 1
    assert values["worse"] == {"000000": 1, "000001": 1, "000002": 1}
    assert len(values["regressions"]) == 1
    page = (out / "comparison.html").read_text()
    assert "&lt;old&gt;" in page and "<old>" not in page
    assert not re.search(r'(src|href)="(?!data:|#)', page)
    assert "Worse than allowed" in page
    assert page.count("<table") == 2


def test_the_help_names_every_figure(capsys):
    with pytest.raises(SystemExit):
        cli.main(["compare", "--help"])
    printed = " ".join(capsys.readouterr().out.split())
    assert ", ".join(FIGURES) in printed


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["--max-drop", "ad=1"], "there is no figure 'ad'"),
        (["--max-drop", "add"], "expected FIGURE=AMOUNT"),
        (["--max-drop", "ar=1"], "has no BOP AR"),
        (["--alpha", "0.05"], "state them with --max-drop"),
        (["--max-drop", "add=1", "--alpha", "5"], "between 0 and 1, got 5"),
        (["--max-drop", "map=1", "--alpha", "0.05"], "no test for mAP"),
    ],
)
def test_bad_options(compare, folders, options, words):
    status, _, error = compare(*folders, *options)
    assert status == cli.EXIT_BAD_INPUT and words in error


def test_folders_that_are_no_evaluations(compare, folders, tmp_path):
    for arguments in ((folders[0], tmp_path / "nowhere"), (tmp_path, folders[1])):
        status, _, error = compare(*arguments)
        assert status == cli.EXIT_BAD_INPUT and "report.json: no such file" in error


def test_runs_on_different_data(compare, folders, tmp_path):
    other = write_run(tmp_path / "other", [{"cube": RIGHT}], data="spheres")
    status, _, error = compare(folders[0], other)
    assert status == cli.EXIT_BAD_INPUT
    assert str(folders[0]) in error and str(other) in error


def test_a_folder_that_cannot_be_written(compare, folders, tmp_path):
    (tmp_path / "file").write_text("")
    status, _, error = compare(*folders, "--out", tmp_path / "file")
    assert status == cli.EXIT_BAD_INPUT and "file" in error
