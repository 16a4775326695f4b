"""The report's page as a real browser sees it."""

import html
import json
import os
import re
import shutil
import signal
import subprocess

import cv2
import numpy as np
import pytest
from made_reports import full_report, made_report, worst_pictures

from casapose_ros.evaluation.reporting.charts import draw_charts
from casapose_ros.evaluation.reporting.html import POLICY, page

BROWSERS = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
SECONDS = 90
FLAGS = (
    "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
    "--disable-background-networking", "--disable-component-update", "--disable-sync",
    "--hide-scrollbars", "--window-size=1280,2000",
)  # fmt: skip
SCRIPT = """<script>
addEventListener("load", () => {
  const result = document.createElement("pre");
  result.id = "result";
  const widths = [...document.images].map(image => image.complete ? image.naturalWidth : 0);
  const tables = [...document.querySelectorAll("table")].map(table => ({
    name: table.id.replace("table-", ""),
    caption: table.caption.textContent,
    rows: [...table.tBodies[0].rows].map(row => [...row.cells].map(cell => cell.innerText)),
    columns: table.tHead.rows[0].cells.length,
    shown: table.getBoundingClientRect().height > 0,
  }));
  const loaded = performance.getEntriesByType("resource").map(entry => entry.name);
  const links = [...document.links].map(link => link.hash.slice(1));
  const dead = links.filter(name => !document.getElementById(name));
  const wide = document.documentElement.scrollWidth > innerWidth;
  result.textContent = JSON.stringify({widths, tables, loaded, links, dead, wide});
  document.body.append(result);
});
</script>"""


@pytest.fixture(scope="module")
def browser():
    """Path of a browser; the test is skipped where there is none."""
    found = next(filter(None, map(shutil.which, BROWSERS)), None)
    if found is None:
        pytest.skip(f"no browser on PATH, looked for {', '.join(BROWSERS)}")
    return found


@pytest.fixture
def visit(browser, tmp_path):
    """Open a page and return what the browser prints; leaves no process behind."""

    def run(text: str, *flags: str) -> str:
        file = tmp_path / "page.html"
        file.write_text(text, encoding="utf-8")
        profile = f"--user-data-dir={tmp_path / 'profile'}"
        command = [browser, *FLAGS, profile, *flags, file.as_uri()]
        quiet = {"stdout": subprocess.PIPE, "stderr": subprocess.DEVNULL}
        # Its own process group, so that its helpers can be ended with it.
        process = subprocess.Popen(command, start_new_session=True, **quiet)
        try:
            output, _ = process.communicate(timeout=SECONDS)
        except subprocess.TimeoutExpired:
            pytest.fail(f"the browser took more than {SECONDS} s")
        finally:
            if process.poll() is None:
                os.killpg(process.pid, signal.SIGKILL)
                process.wait()
        assert process.returncode == 0
        return output.decode()

    return run


def examine(visit, text: str) -> dict:
    """What the browser made of a page."""
    assert POLICY in text
    # Only the copy that is examined may run a script.
    text = text.replace(POLICY, f"{POLICY}; script-src 'unsafe-inline'")
    document = visit(text.replace("</body>", SCRIPT + "</body>"), "--dump-dom")
    found = re.search(r'<pre id="result">(.*?)</pre>', document, re.DOTALL)
    assert found, "the page did not finish loading"
    return json.loads(html.unescape(found[1]))


def test_every_table_and_picture_of_a_full_report_is_there(visit):
    report = full_report()
    worst = worst_pictures(3)
    charts = draw_charts(report)
    seen = examine(visit, page(report, charts, worst))
    rows = {table["name"]: table["rows"] for table in seen["tables"]}
    objects = len(report.summaries)
    expected = {
        "objects": objects, "bop": objects, "detection": objects, "confusion": objects,
        "coverage": 4, "latency": 3, "drops": 7, "delivery": 3, "ignored": 1,
    }  # fmt: skip
    assert {name: len(rows[name]) for name in expected} == expected
    assert set(rows) == {*expected, "origin"}
    for table in seen["tables"]:
        assert table["shown"] and table["caption"], table["name"]
        assert {len(row) for row in table["rows"]} == {table["columns"]}, table["name"]
    assert all(chart.png for chart in charts.values())
    assert len(seen["widths"]) == len(charts) + len(worst) == 10
    assert all(width > 0 for width in seen["widths"])
    assert seen["links"] and not seen["dead"]
    assert [name for name in seen["loaded"] if not name.startswith("data:")] == []


def test_thirty_objects_fit_the_page(visit):
    report = full_report(objects=30)
    seen = examine(visit, page(report, draw_charts(report), []))
    rows = {table["name"]: len(table["rows"]) for table in seen["tables"]}
    assert rows["objects"] == rows["confusion"] == 31
    assert not seen["wide"], "wide tables scroll by themselves"


def test_a_run_without_frames_has_no_broken_picture(visit):
    report = made_report(frames=0)
    seen = examine(visit, page(report, draw_charts(report), []))
    assert all(width > 0 for width in seen["widths"])
    assert all(table["rows"] for table in seen["tables"])


def test_a_picture_that_does_not_load_would_be_noticed(visit):
    report = made_report(frames=0)
    text = page(report, draw_charts(report), worst_pictures(2)).replace(
        "base64,/9j/", "base64,x", 1
    )
    assert [width > 0 for width in examine(visit, text)["widths"]] == [False, True]


def test_the_page_can_be_seen(visit, tmp_path):
    report = full_report()
    file = tmp_path / "page.png"
    visit(page(report, draw_charts(report), []), f"--screenshot={file}")
    picture = cv2.imread(str(file))
    assert picture.shape[:2] == (2000, 1280)
    inked = (np.abs(picture.astype(int) - picture[0, 0]) > 60).any(axis=2)
    assert 0.02 < inked.mean() < 0.6
    assert inked.any(axis=1)[:1900].mean() > 0.5, "from top to bottom"
