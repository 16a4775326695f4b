"""The page as text; ``test_report_in_browser`` looks at it with a browser."""

import base64
import dataclasses
import re

import cv2
import numpy as np
import pytest
from made_reports import full_report, made_report, worst_pictures

from casapose_ros.evaluation.reporting.charts import draw_charts
from casapose_ros.evaluation.reporting.html import PICTURE_WIDTH, page
from casapose_ros.evaluation.reporting.pictures import Picture
from casapose_ros.evaluation.reporting.report import OPTIONAL


@pytest.fixture(scope="module")
def charts():
    """Of the full report; what a page says beside its charts does not depend on them."""
    return draw_charts(full_report())


def pictures_in(text: str, kind: str = "png|jpeg") -> list[np.ndarray]:
    data = re.findall(rf'src="data:image/(?:{kind});base64,([^"]+)"', text)
    buffers = (np.frombuffer(base64.b64decode(item), np.uint8) for item in data)
    return [cv2.imdecode(buffer, cv2.IMREAD_COLOR) for buffer in buffers]


def test_the_page_is_whole_and_asks_for_no_other_file(charts):
    text = page(full_report(), charts, worst_pictures(2))
    assert not re.search(r'\b(src|href|action|poster)="(?!data:|#)', text)
    assert not re.search(r"https?:|@import|url\(|<script|<link|<iframe", text)
    pictures = pictures_in(text)
    assert len(pictures) == text.count("<img ") == 9
    assert all(picture is not None for picture in pictures)
    blue, green, red = pictures_in(text, "jpeg")[0][24, 32].tolist()
    assert red > 190 and max(blue, green) < 20, "RGB was kept"


def test_names_cannot_become_markup(charts):
    report = made_report(problems=("<b>odd</b> bag",))
    text = page(report, charts, worst_pictures(1))
    assert "demo &lt;8&gt;" in text and "&lt;missed&gt;" in text and "&lt;b&gt;odd" in text
    assert not re.search(r"<8>|<missed>|<b>", text)


def test_tables_can_be_read_aloud(charts):
    text = page(full_report(), charts, [])
    tables = re.findall(r"<table.*?</table>", text, re.DOTALL)
    assert len(tables) == 10
    for table in tables:
        assert re.search(r"<caption>[^<]+</caption>", table)
        heads = re.findall(r"<th ([^>]*)>", table)
        assert all(re.search(r'scope="(col|row)"', head) for head in heads)
        assert table.count('scope="row"') == table.count("<tr") - 1
    assert all('alt=""' not in image for image in re.findall(r"<img [^>]{,300}", text))


@pytest.mark.parametrize("part", sorted(set(OPTIONAL) - {"intervals"}))
def test_a_part_that_was_not_measured_says_why_and_has_no_table(charts, part):
    reasons = dict.fromkeys(("bop", part), "the moon was full")
    report = dataclasses.replace(made_report(), **{part: None}, not_measured=reasons)
    text = page(report, charts, [])
    assert "Not measured: the moon was full." in text
    assert f'id="table-{part}"' not in text


def test_a_run_without_frames_still_has_a_page():
    report = made_report(frames=0)
    text = page(report, draw_charts(report), [])
    assert "No frame has a mistake." in text and "<img" not in text
    assert set(re.findall(r'<table id="table-(\w+)"', text)) == {"objects", "origin"}
    assert "no processing times are known" in text


def test_bags_are_told_apart_where_there_are_several(charts):
    assert 'id="table-sources"' in page(made_report(bags=2), charts, [])
    assert 'id="table-sources"' not in page(made_report(), charts, [])


def test_problems_come_before_the_figures(charts):
    text = page(full_report(), charts, [])
    assert 0 < text.index("the bag ends in the middle") < text.index("<table")
    assert 'class="problems"' not in page(made_report(), charts, [])


def test_problems_of_a_replay_are_not_said_twice(charts):
    report = full_report()
    delivery = dataclasses.replace(report.delivery, problems=("the node died once",))
    text = page(dataclasses.replace(report, delivery=delivery), charts, [])
    assert text.count("the node died once") == 1
    both = dataclasses.replace(report, delivery=delivery, problems=delivery.problems)
    assert page(both, charts, []).count("the node died once") == 1


def test_mistakes_without_pictures_are_not_denied(charts):
    assert "frames with mistakes were not drawn" in page(made_report(), charts, [])


def test_large_frames_are_made_smaller(charts):
    worst = [Picture("f", "c", np.zeros((1080, 1920, 3), np.uint8))]
    assert pictures_in(page(made_report(), charts, worst), "jpeg")[0].shape == (
        540,
        PICTURE_WIDTH,
        3,
    )
