"""Curves of a run: what was logged is drawn, also for each object, and before there is anything."""

import matplotlib.figure
import pytest

from casapose_ros.training.logs import TRAINING_LOG, VALIDATION_LOG, append_row
from casapose_ros.training.plots import ERRORS, LOSSES, SHARES, plot_curves


@pytest.fixture
def drawn(monkeypatch):
    """The figures that are saved."""
    figures, save = [], matplotlib.figure.Figure.savefig

    def keep(figure, *args, **kwargs):
        figures.append(figure)
        return save(figure, *args, **kwargs)

    monkeypatch.setattr(matplotlib.figure.Figure, "savefig", keep)
    return figures


def test_every_object_has_its_curve(tmp_path, drawn):
    for step in (50, 100):
        append_row(tmp_path / TRAINING_LOG, {"step": step, **dict.fromkeys(LOSSES, 2.0)})
        figures = {**dict.fromkeys(ERRORS, 9.0), **dict.fromkeys(SHARES, 0.5)}
        of_objects = {"mug/recall_add_10": 0.5, "mug/mean_keypoints": step, "b/mean_keypoints": 3.0}
        append_row(tmp_path / VALIDATION_LOG, {"step": step, **figures, **of_objects})
    plot_curves(tmp_path, tmp_path / "curves.png")
    assert (tmp_path / "curves.png").stat().st_size > 0
    labels = [[line.get_label() for line in axes.lines] for axes in drawn[0].axes]
    assert labels == [list(LOSSES), list(ERRORS), list(SHARES), ["mug", "b"]]
    assert list(drawn[0].axes[3].lines[0].get_ydata()) == [50, 100]


def test_a_run_without_figures_has_empty_axes(tmp_path, drawn):
    plot_curves(tmp_path, tmp_path / "curves.png")
    assert len(drawn[0].axes) == 4
    assert not any(line.get_xdata().size for axes in drawn[0].axes for line in axes.lines)
