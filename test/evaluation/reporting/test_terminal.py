"""The few lines of a report that the terminal shows."""

import dataclasses
import io
import re

from made_reports import full_report, made_report
from rich.console import Console

from casapose_ros.evaluation.reporting.terminal import headlines, table


def test_the_table_has_a_row_per_object_and_the_total():
    console = Console(width=100, record=True, file=io.StringIO())
    console.print(table(made_report()))
    text = console.export_text()
    assert re.search(r"object_00\s+4\s+0\.0", text) and re.search(r"all\s+8\s+50\.0", text)


def test_brackets_in_names_are_no_markup():
    report = made_report()
    origin = dataclasses.replace(report.origin, data="run[/red]")
    summaries = [dataclasses.replace(s, name=f"cup[/x] {s.name}") for s in report.summaries]
    console = Console(width=100, record=True, file=io.StringIO())
    console.print(table(dataclasses.replace(report, origin=origin, summaries=summaries)))
    text = console.export_text()
    assert "run[/red]" in text and "cup[/x]" in text


def test_headlines_say_what_counts():
    lines = "\n".join(headlines(full_report()))
    assert "4 frames, 8 targets" in lines and "recall 50.0 %" in lines
    assert "0 of 12 estimates (0.0 %)" in lines and "8 (66.7 %) have a wrong pose" in lines
    assert "without VSD" in lines and "1 of 4 images got no answer" in lines
    assert "117 ms per image at 256x192" in lines and "network 115, pnp 2" in lines
    assert "77 (3)" in lines and "the bag ends in the middle of a message" in lines


def test_headlines_are_silent_about_what_was_not_measured():
    lines = "\n".join(headlines(made_report(frames=0)))
    assert "ms per image" not in lines and "BOP" not in lines
    assert "recall" not in lines and "0 targets" in lines and "no estimate" in lines
