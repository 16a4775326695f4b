"""Charts as pictures: what is drawn can be found in them by its colour."""

import cv2
import numpy as np
import pytest
from judged_frames import judged_matches

from casapose_ros.evaluation.reporting import plots
from casapose_ros.evaluation.statistics.calibration import reliability


def drawn(png: bytes, colour: str) -> bool:
    """Whether a picture has something in a colour, up to the smoothing of thin lines."""
    bgr = cv2.imdecode(np.frombuffer(png, np.uint8), cv2.IMREAD_COLOR)
    wanted = [int(colour[i : i + 2], 16) for i in (5, 3, 1)]
    return bool((np.abs(bgr.astype(int) - wanted).max(axis=2) <= 12).any())


def test_an_object_keeps_its_colour_if_another_has_no_targets(estimate):
    matches = [estimate("cube", 0.05), estimate("bar", 0.2)]
    first, second = plots.COLOURS[:2]
    both = plots.recall_curves(judged_matches(matches), ["cube", "bar"], 0.4, plots.ADD)
    assert drawn(both, first) and drawn(both, second)
    bar = plots.recall_curves(judged_matches(matches[1:]), ["cube", "bar"], 0.4, plots.ADD)
    assert drawn(bar, second) and not drawn(bar, first)


def test_among_many_objects_the_worst_are_named(estimate):
    names = [f"object {i}" for i in range(30)]
    matches = [estimate(name, 0.015 * (i + 1)) for i, name in enumerate(names)]
    png = plots.recall_curves(judged_matches(matches), names, 0.4, plots.ADD)
    assert drawn(png, plots.PALE)
    shown = [drawn(png, colour) for colour in plots.COLOURS[:-1]]  # the last is a grey
    assert shown == [True] * plots.WORST_NAMED + [False] * (len(shown) - plots.WORST_NAMED)
    styles = dict(plots._line_styles(names, {name: -i for i, name in enumerate(names)}))
    labels = [str(style["label"]) for style in styles.values()]
    assert [label for label in labels if not label.startswith("_")] == [
        "the other objects",
        *names[-plots.WORST_NAMED :],
    ]


def test_errors_beyond_the_axis_are_in_the_last_bar(estimate):
    within = plots.error_histograms(judged_matches([estimate(relative=0.05)] * 5), 0.4)
    beyond = plots.error_histograms(judged_matches([estimate(relative=7.0)] * 5), 0.4)
    assert not drawn(within, plots.COLOURS[3]) and drawn(beyond, plots.COLOURS[3])


def test_curves_of_precision_are_drawn_for_objects_and_total():
    curve = (np.array([0.5, 0.5, 1.0]), np.array([1.0, 0.5, 0.67]))
    other = (np.array([0.5, 1.0]), np.array([0.5, 0.6]))
    curves = {"cube": curve, "bar": other, "all": other}
    png = plots.precision_curves(curves, dict.fromkeys(curves, 0.7))
    assert drawn(png, plots.COLOURS[0]) and drawn(png, plots.COLOURS[1])


def test_bins_without_estimates_are_left_out(estimate):
    judgements = judged_matches([estimate(score=0.95), estimate(score=0.05)])
    png = plots.reliability_curve(reliability(judgements))
    assert drawn(png, plots.COLOURS[0])


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("seconds", [[0.1], [0.1, np.nan, 0.3], [0.0, 0.1], [0.1] * 50])
def test_times_can_be_drawn_however_few_there_are(seconds):
    seconds = np.array(seconds)
    stages = {"network": seconds, "never": np.full(len(seconds), np.nan)}
    png = plots.latency_chart(stages, seconds)
    assert drawn(png, plots.COLOURS[0]), "the curve, even of a single time"


def test_a_replay_has_two_curves():
    png = plots.age_chart(np.array([0.1, 0.2]), np.array([0.05, 0.06]))
    assert drawn(png, plots.COLOURS[0]) and drawn(png, plots.COLOURS[1])
