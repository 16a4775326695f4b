"""The report as one HTML page that needs no other file: tables, charts and pictures inside."""

from __future__ import annotations

import base64
from collections.abc import Sequence
from dataclasses import dataclass
from html import escape

import cv2
import numpy as np

from casapose_ros.evaluation import plots
from casapose_ros.evaluation.report import COLUMNS, Report, headlines, number
from casapose_ros.evaluation.summary import TOTAL

STYLE = """
body { font: 15px/1.5 system-ui, sans-serif; color: #222; max-width: 76rem; margin: 2rem auto;
       padding: 0 1rem; }
h1 { font-size: 1.6rem; margin-bottom: 0; } h2 { font-size: 1.15rem; margin-top: 2.2rem; }
p.origin, figcaption { color: #666; font-size: 0.9rem; }
.wide { overflow-x: auto; }
table { border-collapse: collapse; font-variant-numeric: tabular-nums; white-space: nowrap; }
th, td { text-align: right; padding: 0.3rem 0.7rem; border-bottom: 1px solid #ddd; }
th:first-child, td:first-child { text-align: left; }
tr.total { font-weight: 600; border-top: 2px solid #444; }
img { max-width: 100%; height: auto; }
.frames { display: grid; grid-template-columns: repeat(auto-fill, minmax(22rem, 1fr)); gap: 1rem; }
figure { margin: 0; }
.truth { color: #0a50c8; } .right { color: #1a7f1a; } .wrong { color: #c81e1e; }
"""
LEGEND = (
    '<span class="truth">blue: truth</span>, '
    '<span class="right">green: correct (ADD(-S) below 10 %)</span>, '
    '<span class="wrong">red: not correct</span>'
)


@dataclass(frozen=True)
class Picture:
    """A frame to show.

    Attributes:
        caption: What there is to see.
        image: (H, W, 3) uint8 RGB.
    """

    caption: str
    image: np.ndarray


def page(report: Report, worst: Sequence[Picture]) -> str:
    """The whole page as text."""
    title = f"{report.model} on {report.dataset}/{report.split}"
    parts = [
        f"<h1>{escape(title)}</h1>",
        f'<p class="origin">{escape(_origin(report))}</p>',
        "<ul>" + "".join(f"<li>{escape(line)}</li>" for line in headlines(report)) + "</ul>",
        "<h2>Per object</h2>",
        _table(report),
        *_charts(report),
    ]
    if worst:
        parts += [
            "<h2>Worst frames</h2>",
            f"<p>{LEGEND}</p>",
            f'<div class="frames">{"".join(_picture(picture) for picture in worst)}</div>',
        ]
    return (
        '<!DOCTYPE html>\n<html lang="en"><head><meta charset="utf-8">'
        f"<title>{escape(title)}</title><style>{STYLE}</style></head>\n<body>\n"
        + "\n".join(parts)
        + "\n</body></html>\n"
    )


def _origin(report: Report) -> str:
    versions = ", ".join(f"{name} {version}" for name, version in report.versions.items())
    return f"{report.created} · {versions}"


def _table(report: Report) -> str:
    heads = "".join(
        f'<th title="{escape(column.meaning)}">{escape(column.title)}</th>' for column in COLUMNS
    )
    rows = []
    for summary in report.summaries:
        cells = "".join(f"<td>{escape(column.text(summary))}</td>" for column in COLUMNS)
        rows.append(f'<tr class="{"total" if summary.name == TOTAL else ""}">{cells}</tr>')
    meanings = "; ".join(f"{column.title}: {column.meaning}" for column in COLUMNS)
    return (
        f'<div class="wide"><table><thead><tr>{heads}</tr></thead>'
        f'<tbody>{"".join(rows)}</tbody></table></div><p class="origin">{escape(meanings)}.</p>'
    )


def _charts(report: Report) -> list[str]:
    names = [summary.name for summary in report.summaries[:-1]]
    ece = number(report.reliability.error, 3)
    visibility = report.min_visibility
    charts = {
        "Recall over threshold": plots.recall_curves(report.matches, names, visibility),
        "Errors (the last bar holds all larger ones)": plots.error_histograms(
            report.matches, visibility
        ),
        f"Score against share of correct poses (expected calibration error {ece})": (
            plots.reliability_curve(report.reliability)
        ),
    }
    return [
        f"<h2>{escape(title)}</h2>\n{_image(png, 'image/png', title)}"
        for title, png in charts.items()
    ]


def _picture(picture: Picture) -> str:
    bgr = cv2.cvtColor(picture.image, cv2.COLOR_RGB2BGR)
    _, jpeg = cv2.imencode(".jpg", bgr, [cv2.IMWRITE_JPEG_QUALITY, 85])
    image = _image(jpeg.tobytes(), "image/jpeg", picture.caption)
    return f"<figure>{image}<figcaption>{escape(picture.caption)}</figcaption></figure>"


def _image(content: bytes, media_type: str, description: str) -> str:
    data = base64.b64encode(content).decode()
    return f'<img alt="{escape(description)}" src="data:{media_type};base64,{data}">'
