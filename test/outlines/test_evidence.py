"""Sums along a line are those over what it encloses."""

from itertools import pairwise

import numpy as np
import pytest

from casapose_ros.outlines.evidence import BACKGROUND, OTHER, Evidence

LABELS = np.zeros((40, 50), np.uint8)
LABELS[10:30, 5:45] = 2
LABELS[15:20, 30:50] = 1


def evidence_of(**changes):
    arguments = {"own": None, "middle": np.array([25.0, 20.0]), "reach": 100.0, **changes}
    return Evidence.of(LABELS, 2, **arguments)


def rectangle(x0, y0, x1, y1, pieces=400):
    """Middles and rises of its line, first along the top."""
    corners = np.array([[x0, y0], [x1, y0], [x1, y1], [x0, y1], [x0, y0]], float)
    ends = np.concatenate([np.linspace(a, b, pieces + 1) for a, b in pairwise(corners)])
    return (ends[1:] + ends[:-1]) / 2, np.diff(ends[:, 1])


def test_labels_speak_for_and_against():
    values = evidence_of().values
    assert values[12, 10] == 1 and values[0, 0] == BACKGROUND and values[17, 35] == OTHER
    own = np.array([10, 11]), np.array([5, 6])
    assert evidence_of(own=own).values[LABELS == 2].sum() == pytest.approx(2 + 723 * OTHER)


@pytest.mark.parametrize(
    "box", [(3, 4, 47, 33), (20, 12, 40, 28), (-9, -5, 60, 70), (30.5, 16, 33.5, 18)]
)
def test_the_sum_along_the_line_is_that_of_the_pixels(box):
    x0, y0, x1, y1 = box
    found = evidence_of().inside(*rectangle(*box))
    values = evidence_of().values
    columns = np.clip(np.arange(51), x0, x1)
    rows = np.clip(np.arange(41), y0, y1)
    expected = np.diff(rows) @ values @ np.diff(columns)
    assert found == pytest.approx(expected, abs=0.6)


def test_only_a_part_is_looked_at():
    part = evidence_of(middle=np.array([10.0, 20.0]), reach=6.0)
    assert part.values.shape == (12, 12)
    np.testing.assert_array_equal(part.values, evidence_of().values[14:26, 4:16])
    box = rectangle(5, 15, 14, 24)
    assert part.inside(*box) == pytest.approx(evidence_of().inside(*box), abs=0.1)
    assert evidence_of(middle=np.array([500.0, 20.0]), reach=6.0) is None


def test_blurred_edges_say_on_which_side_one_is():
    blurred = evidence_of().blurred(1.5)
    inside, edge, outside = blurred.at(np.array([[20, 11.0], [20, 10.0], [20, 9.0]]))
    assert inside > 0.2 and edge == pytest.approx(0, abs=0.02) and outside < -0.2
    np.testing.assert_allclose(evidence_of().at(np.array([[20.5, 12.5], [-9.0, 3.0]])), [1, 0])
