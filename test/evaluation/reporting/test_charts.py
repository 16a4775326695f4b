"""Which charts a report has, and what stands there instead."""

import dataclasses

from judged_frames import judged_matches
from made_reports import full_report, made_report

from casapose_ros.evaluation.reporting.charts import draw_charts

ALWAYS = {"recall_add", "recall_projection", "errors", "precision", "reliability", "latency"}


def test_all_that_was_measured_is_drawn():
    charts = draw_charts(full_report())
    assert set(charts) == ALWAYS | {"age"}
    assert all(chart.png and chart.title and chart.words for chart in charts.values())
    assert set(draw_charts(made_report())) == ALWAYS


def test_without_frames_every_chart_says_why_it_is_not_there():
    charts = draw_charts(made_report(frames=0))
    assert {name for name, chart in charts.items() if chart.png is None} == ALWAYS
    assert "no true object" in charts["recall_add"].words
    assert "no estimate" in charts["reliability"].words
    assert "no processing times" in charts["latency"].words


def test_what_was_not_measured_is_not_drawn():
    reasons = {"bop": "x", "detection": "only poses without scores"}
    report = dataclasses.replace(made_report(), detection=None, not_measured=reasons)
    chart = draw_charts(report)["precision"]
    assert chart.png is None and "only poses without scores" in chart.words


def test_scores_that_are_no_probabilities_have_no_curve():
    report = made_report(frames=1)
    empty = made_report(frames=0).reliability
    chart = draw_charts(dataclasses.replace(report, reliability=empty))["reliability"]
    assert chart.png is None and "no probabilities" in chart.words


def test_targets_that_were_all_missed_have_recall_curves_but_no_errors(missed):
    report = made_report(objects=1, frames=1)
    total = dataclasses.replace(report.total, found=0)
    judgements = judged_matches([missed("object_00")])
    summaries = [report.summaries[0], total]
    report = dataclasses.replace(report, judgements=judgements, summaries=summaries)
    charts = draw_charts(report)
    assert charts["recall_add"].png and charts["errors"].png is None
    assert charts["errors"].words == "no target was found"
