"""A report in a few lines for the terminal."""

from __future__ import annotations

from rich.box import SIMPLE_HEAD
from rich.markup import escape
from rich.table import Table

from casapose_ros.evaluation.reporting.latency import spread
from casapose_ros.evaluation.reporting.report import Report
from casapose_ros.evaluation.reporting.tables import COLUMNS, number, percent
from casapose_ros.evaluation.summary import TOTAL


def table(report: Report) -> Table:
    """The main figures per object."""
    # Names may hold brackets, which rich would take for its own.
    result = Table(title=escape(report.origin.title), box=SIMPLE_HEAD, padding=0)
    columns = [column for column in COLUMNS if column.brief]
    result.add_column("object")
    for column in columns:
        result.add_column(column.title.replace(" ", "\n", 1), justify="right")
    for summary in report.summaries:
        style = "bold" if summary.name == TOTAL else None
        result.add_row(
            escape(summary.name), *(column.text(summary) for column in columns), style=style
        )
    return result


def headlines(report: Report) -> list[str]:
    """What there is to say first: the main figures, and all that was lost or skipped."""
    return [*main_figures(report), *report.problems]


def main_figures(report: Report) -> list[str]:
    """The figures that the project is measured by, one sentence each."""
    total = report.total
    absent = f"{total.absent} of {total.estimates} estimates ({percent(total.absent_rate)} %)"
    wrong = f"{total.wrong} ({percent(total.wrong_rate)} %)"
    visible = f"{100 * report.min_visibility:.0f} %"
    lines = [f"{report.frames} frames, {total.targets} targets that are at least {visible} visible"]
    if total.targets:
        recall = percent(total.recall_add_10)
        lines.append(f"recall {recall} % (ADD(-S) below 10 % of the diameter)")
    if total.estimates:
        lines.append(f"{absent} are of objects not in the image, {wrong} have a wrong pose")
    else:
        lines.append("the model gave no estimate")
    if report.bop is not None:
        without = f", without VSD: {report.bop.without_vsd}" if report.bop.without_vsd else ""
        average = percent(report.bop.total.average_recall)
        lines.append(f"average recall {average} % by the rules of BOP-19{without}")
    if report.times:
        lines.append(_times(report))
    if report.delivery is not None:
        sent, dropped = report.delivery.sent, report.delivery.dropped
        rate = number(report.delivery.rate)
        lines.append(f"{dropped} of {sent} images got no answer at {rate} images per second")
    if report.ignored:
        ids = ", ".join(f"{bop_id} ({count})" for bop_id, count in report.ignored.items())
        lines.append(f"not asked for, as the model does not know them: BOP ids (times) {ids}")
    return lines


def _times(report: Report) -> str:
    all_stages = spread(report.time_per_image)
    size = report.origin.network_size
    at = f" at {size[0]}x{size[1]}" if size else ""
    means = ((stage, 1000 * spread(times).mean) for stage, times in report.times.items())
    stages = ", ".join(f"{stage} {mean:.0f}" for stage, mean in means)
    mean, p95 = 1000 * all_stages.mean, 1000 * all_stages.p95
    return f"{mean:.0f} ms per image{at} (95 % within {p95:.0f}): {stages}"
