"""The report as one HTML page that needs no other file: tables, charts and pictures inside."""

from __future__ import annotations

import base64
import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from html import escape
from typing import Any

import cv2

from casapose_ros.evaluation import quality_tables, tables
from casapose_ros.evaluation.charts import Chart
from casapose_ros.evaluation.page_style import STYLE
from casapose_ros.evaluation.pictures import Picture
from casapose_ros.evaluation.report import Report
from casapose_ros.evaluation.tables import Cell, Grid, Head, number
from casapose_ros.evaluation.terminal import headlines

PICTURE_WIDTH = 960
"""px; frames that are wider are made smaller for the page."""
MANY_COLUMNS = 12
"""From here on the headings of the confusion table stand upright."""
POLICY = "default-src 'none'; img-src data:; style-src 'unsafe-inline'"
"""Browsers then load nothing from outside, whatever stands in the page."""
LEGEND = (
    '<span class="truth">blue: truth</span>, '
    '<span class="right">green: correct (ADD(-S) below 10 % of the diameter)</span>, '
    '<span class="wrong">red: not correct</span>. Boxes are those of the objects; names stand at '
    "wrong estimates and at missed objects."
)


@dataclass(frozen=True)
class Section:
    """A chapter of the page.

    Attributes:
        name: Where links lead to, without spaces.
        title: Its heading.
        parts: HTML.
    """

    name: str
    title: str
    parts: list[str]


def page(report: Report, charts: dict[str, Chart], worst: Sequence[Picture]) -> str:
    """The whole page as text.

    Args:
        report: The figures.
        charts: From ``charts.draw_charts``.
        worst: The frames that went worst, worst first.
    """
    title = escape(report.origin.title)
    sections = [
        *_sections(report, charts),
        _frames(worst),
        _times(report, charts),
        *_replay(report, charts),
        _origin(report),
    ]
    links = (f'<a href="#{s.name}">{escape(s.title)}</a>' for s in sections)
    parts = [
        f"<h1>{title}</h1>",
        f'<p class="soft">casapose evaluation of {escape(report.origin.created)}</p>',
        f"<nav>{''.join(links)}</nav>",
        _list(headlines(report)),
        _problems(report),
    ]
    for section in sections:
        parts.append(f'<section id="{section.name}"><h2>{escape(section.title)}</h2>')
        parts += [*section.parts, "</section>"]
    return (
        '<!DOCTYPE html>\n<html lang="en"><head><meta charset="utf-8">'
        f'<meta http-equiv="Content-Security-Policy" content="{POLICY}">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>{title}</title><style>{STYLE}</style></head>\n<body>\n"
        + "\n".join(parts)
        + "\n</body></html>\n"
    )


def _sections(report: Report, charts: dict[str, Chart]) -> Iterable[Section]:
    """What is said about the poses."""
    objects = tables.object_table(report)
    yield Section("objects", "Per object", [_table(objects), _meanings(objects)])
    bop = _optional(report, "bop", quality_tables.bop_table)
    remarks = [] if report.bop is None else quality_tables.bop_remarks(report.bop)
    yield Section("bop", "BOP challenge", [bop, _list(remarks)])
    curves = _pair(charts["recall_add"], charts["recall_projection"])
    yield Section("errors", "Errors", [curves, _chart(charts["errors"])])
    detection = _optional(report, "detection", quality_tables.detection_table)
    yield Section("detection", "Detection", [detection, _chart(charts["precision"])])
    coverage = _optional(report, "coverage", quality_tables.coverage_table)
    yield Section("trust", "Score and covariances", [_chart(charts["reliability"]), coverage])
    confusion = _optional(report, "confusion", quality_tables.confusion_table)
    yield Section("confusion", "Confusion", [confusion])


def _frames(worst: Sequence[Picture]) -> Section:
    pictures = "".join(_picture(picture) for picture in worst)
    parts = [f'<p class="legend">{LEGEND}</p>', f'<div class="frames">{pictures}</div>']
    if not worst:
        parts = [_missing("no frame has a mistake")]
    return Section("frames", "Worst frames", parts)


def _times(report: Report, charts: dict[str, Chart]) -> Section:
    parts = [_chart(charts["latency"])]
    if charts["latency"].png is not None:
        parts.append(_table(tables.latency_table(report)))
    return Section("times", "Times", parts)


def _replay(report: Report, charts: dict[str, Chart]) -> Iterable[Section]:
    """Only for a live replay."""
    delivery = report.delivery
    if delivery is None:
        return
    drops = _table(tables.drops_table(delivery))
    times = _table(tables.delivery_table(delivery))
    remarks = [
        f"{number(delivery.rate)} images per second, {delivery.speed:g} times as fast as recorded",
        f"{delivery.warm_up:.1f} s from the start of the node to its first answer",
        "the node asked again for images that the transport lost"
        if delivery.reliable
        else "images that the transport lost were not asked for again",
        *(problem for problem in delivery.problems if problem not in report.problems),
    ]
    parts = [drops, _chart(charts["age"]), times, _list(remarks)]
    yield Section("replay", "Live replay", parts)


def _origin(report: Report) -> Section:
    parts = [_table(tables.origin_table(report))]
    if report.ignored:
        rows = tuple((Cell(str(i)), Cell(str(count))) for i, count in report.ignored.items())
        heads = (Head("BOP id"), Head("times"))
        caption = "Objects in the images that the model does not know; they were not asked for"
        parts.append(_table(Grid("ignored", caption, heads, rows)))
    return Section("origin", "What was measured", parts)


def _problems(report: Report) -> str:
    if not report.problems:
        return ""
    words = "Lost or skipped; the figures are about the rest:"
    return f'<div class="problems"><strong>{words}</strong>{_list(report.problems)}</div>'


def _optional(report: Report, part: str, table: Callable[[Any], Grid]) -> str:
    """The table of a part that may not have been measured, or why it was not."""
    value = getattr(report, part)
    if value is None:
        return _missing(f"not measured: {report.not_measured[part]}")
    grid = table(value)
    return _table(grid) + _meanings(grid)


def _missing(words: str) -> str:
    return f'<p class="missing">{escape(words[:1].upper() + words[1:])}.</p>'


def _list(lines: Iterable[str]) -> str:
    lines = list(lines)
    if not lines:
        return ""
    return "<ul>" + "".join(f"<li>{escape(line)}</li>" for line in lines) + "</ul>"


def _table(grid: Grid) -> str:
    heads = "".join(
        f'<th scope="col"{_hint(head.meaning)}>{_heading(head.title)}</th>' for head in grid.heads
    )
    rows = []
    for index, (name, *cells) in enumerate(grid.rows):
        kind = ' class="total"' if grid.total and index == len(grid.rows) - 1 else ""
        first = f'<th scope="row">{escape(name.text)}</th>'
        rows.append(f"<tr{kind}>{first}{''.join(_cell(cell) for cell in cells)}</tr>")
    many = ' class="many"' if len(grid.heads) > MANY_COLUMNS else ""
    return (
        f'<div class="wide"><table id="table-{grid.name}"{many}>'
        f"<caption>{escape(grid.caption)}</caption><thead><tr>{heads}</tr></thead>\n"
        f"<tbody>{chr(10).join(rows)}</tbody></table></div>"
    )


def _cell(cell: Cell) -> str:
    look = ""
    if cell.shade:
        kind = "shaded" if cell.good else "shaded bad"
        look = f' class="{kind}" style="--shade: {cell.shade:.2f}"'
    note = f"<small>{escape(cell.note)}</small>" if cell.note else ""
    return f"<td{look}>{escape(cell.text)}{note}</td>"


def _heading(title: str) -> str:
    """A number stays with its unit."""
    return re.sub(r"(\d) ", r"\1&nbsp;", escape(title))


def _hint(meaning: str) -> str:
    return f' title="{escape(meaning)}"' if meaning else ""


def _meanings(grid: Grid) -> str:
    """The headings in words: a pointer's hint is no help on paper or for a screen reader."""
    words = "; ".join(
        f"<dfn>{escape(head.title)}</dfn> {escape(head.meaning)}"
        for head in grid.heads
        if head.meaning
    )
    return f'<p class="soft">{words}.</p>' if words else ""


def _pair(*charts: Chart) -> str:
    return f'<div class="pair">{"".join(_chart(chart) for chart in charts)}</div>'


def _chart(chart: Chart) -> str:
    if chart.png is None:
        return _missing(f"{chart.title}: {chart.words}")
    image = _image(chart.png, "image/png", chart.title)
    caption = f"<figcaption>{escape(chart.title)}. {escape(chart.words)}</figcaption>"
    return f'<figure id="chart-{chart.name}">{image}{caption}</figure>'


def _picture(picture: Picture) -> str:
    bgr = cv2.cvtColor(picture.image, cv2.COLOR_RGB2BGR)
    height, width = bgr.shape[:2]
    if width > PICTURE_WIDTH:
        size = (PICTURE_WIDTH, max(1, round(height * PICTURE_WIDTH / width)))
        bgr = cv2.resize(bgr, size, interpolation=cv2.INTER_AREA)
    _, jpeg = cv2.imencode(".jpg", bgr, [cv2.IMWRITE_JPEG_QUALITY, 85])
    words = f"{picture.frame}: {picture.caption}"
    image = _image(jpeg.tobytes(), "image/jpeg", words)
    return f"<figure>{image}<figcaption>{escape(words)}</figcaption></figure>"


def _image(content: bytes, media_type: str, description: str) -> str:
    data = base64.b64encode(content).decode()
    return f'<img alt="{escape(description)}" src="data:{media_type};base64,{data}">'
