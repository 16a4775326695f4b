"""The report as one HTML page that needs no other file: tables, charts and pictures inside."""

from __future__ import annotations

import base64
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from html import escape

import cv2

from casapose_ros.evaluation.reporting import quality_tables, tables
from casapose_ros.evaluation.reporting.charts import Chart
from casapose_ros.evaluation.reporting.page_style import STYLE
from casapose_ros.evaluation.reporting.pictures import Picture
from casapose_ros.evaluation.reporting.report import Report
from casapose_ros.evaluation.reporting.tables import Cell, Grid, Head, number
from casapose_ros.evaluation.reporting.terminal import main_figures

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
        _frames(report, worst),
        _times(report, charts),
        *_replay(report, charts),
        _origin(report),
    ]
    links = (f'<a href="#{s.name}">{escape(s.title)}</a>' for s in sections)
    parts = [
        f"<h1>{title}</h1>",
        f'<p class="soft">casapose evaluation of {escape(report.origin.created)}</p>',
        f"<nav>{''.join(links)}</nav>",
        _list(main_figures(report)),
        _problems(report),
    ]
    for section in sections:
        parts.append(f'<section id="{section.name}"><h2>{escape(section.title)}</h2>')
        parts += [*section.parts, "</section>"]
    return document(report.origin.title, parts)


def document(title: str, parts: Iterable[str]) -> str:
    """A page that needs no other file.

    Args:
        title: Plain text.
        parts: HTML.
    """
    return (
        '<!DOCTYPE html>\n<html lang="en"><head><meta charset="utf-8">'
        f'<meta http-equiv="Content-Security-Policy" content="{POLICY}">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>{escape(title)}</title><style>{STYLE}</style></head>\n<body>\n"
        + "\n".join(parts)
        + "\n</body></html>\n"
    )


def table(grid: Grid) -> str:
    """A table as HTML."""
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


def _sections(report: Report, charts: dict[str, Chart]) -> Iterable[Section]:
    """What is said about the poses."""
    yield Section("objects", "Per object", [_explained(tables.object_table(report))])
    if report.sources:
        yield Section("sources", "Per scene or bag", [table(tables.source_table(report))])
    yield Section("bop", "BOP challenge", [_bop(report)])
    curves = _pair(_chart(charts["recall_add"]), _chart(charts["recall_projection"]))
    yield Section("errors", "Errors", [curves, _chart(charts["errors"])])
    detection = _pair(_detection(report), _chart(charts["precision"]))
    yield Section("detection", "Detection", [detection])
    trust = _pair(_chart(charts["reliability"]), _coverage(report))
    yield Section("trust", "Score and covariances", [trust])
    yield Section("confusion", "Confusion", [_confusion(report)])


def _bop(report: Report) -> str:
    if report.bop is None:
        return _not_measured(report, "bop")
    remarks = _list(quality_tables.bop_remarks(report.bop))
    return _explained(quality_tables.bop_table(report.bop)) + remarks


def _detection(report: Report) -> str:
    if report.detection is None:
        return _not_measured(report, "detection")
    if not report.detection.total.targets + report.detection.total.estimates:
        return _missing("Precision and recall: there are no targets and no estimates")
    return _explained(quality_tables.detection_table(report.detection))


def _coverage(report: Report) -> str:
    if report.coverage is None:
        return _not_measured(report, "coverage")
    if not any(row.count + row.unstated for row in report.coverage.rows):
        return _missing("Covariances: no estimate has a true object to compare it with")
    return _explained(quality_tables.coverage_table(report.coverage))


def _confusion(report: Report) -> str:
    if report.confusion is None:
        return _not_measured(report, "confusion")
    if not report.confusion.counts.any():
        return _missing("There are no targets and no estimates")
    words = escape(quality_tables.confusion_remark(report.confusion))
    return f'<p class="soft">{words}</p>' + table(quality_tables.confusion_table(report.confusion))


def _frames(report: Report, worst: Sequence[Picture]) -> Section:
    pictures = "".join(_picture(picture) for picture in worst)
    parts = [f'<p class="legend">{LEGEND}</p>', f'<div class="frames">{pictures}</div>']
    if not worst:
        total = report.total
        mistakes = total.wrong + total.absent + total.targets - total.found
        words = "The frames with mistakes were not drawn" if mistakes else "No frame has a mistake"
        parts = [_missing(words)]
    return Section("frames", "Worst frames", parts)


def _times(report: Report, charts: dict[str, Chart]) -> Section:
    parts = [_chart(charts["latency"])]
    if charts["latency"].png is not None:
        parts.append(table(tables.latency_table(report)))
    return Section("times", "Times", parts)


def _replay(report: Report, charts: dict[str, Chart]) -> Iterable[Section]:
    """Only for a live replay."""
    delivery = report.delivery
    if delivery is None:
        return
    drops = _pair(table(tables.drops_table(delivery)), _chart(charts["age"]))
    times = table(tables.delivery_table(delivery))
    remarks = [
        f"{number(delivery.rate)} images per second, {delivery.speed:g} x the recorded speed",
        f"{delivery.warm_up:.1f} s from the start of the node to its first answer",
        "the node asked again for images that the transport lost"
        if delivery.reliable
        else "images that the transport lost were not asked for again",
        *(problem for problem in delivery.problems if problem not in report.problems),
    ]
    yield Section("replay", "Live replay", [drops, times, _list(remarks)])


def _origin(report: Report) -> Section:
    parts = [table(tables.origin_table(report))]
    if report.ignored:
        rows = tuple((Cell(str(i)), Cell(str(count))) for i, count in report.ignored.items())
        heads = (Head("BOP id"), Head("times"))
        caption = "Objects in the images that the model does not know; they were not asked for"
        parts.append(table(Grid("ignored", caption, heads, rows)))
    return Section("origin", "What was measured", parts)


def _problems(report: Report) -> str:
    if not report.problems:
        return ""
    words = "Lost or skipped; the figures are about the rest:"
    return f'<div class="problems"><strong>{words}</strong>{_list(report.problems)}</div>'


def _not_measured(report: Report, part: str) -> str:
    return _missing(f"Not measured: {report.not_measured[part]}")


def _missing(words: str) -> str:
    return f'<p class="missing">{escape(words)}.</p>'


def _list(lines: Iterable[str]) -> str:
    lines = list(lines)
    if not lines:
        return ""
    return "<ul>" + "".join(f"<li>{escape(line)}</li>" for line in lines) + "</ul>"


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


def _explained(grid: Grid) -> str:
    """A table and its headings in words: a pointer's hint is no help on paper."""
    words = "; ".join(
        f"<dfn>{escape(head.title)}</dfn>: {escape(head.meaning)}"
        for head in grid.heads
        if head.meaning
    )
    return table(grid) + f'<p class="soft">{words}.</p>'


def _pair(left: str, right: str) -> str:
    """Side by side where there is room."""
    return f'<div class="pair"><div>{left}</div><div>{right}</div></div>'


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
