"""Curves of a training run as a picture."""

from __future__ import annotations

from pathlib import Path

from casapose_ros.training.logs import TRAINING_LOG, VALIDATION_LOG, read_log

LOSSES = ("segmentation", "vectors", "voting", "keypoints")
ERRORS = ("keypoint_error", "median_keypoint_error")
SHARES = ("mask_iou", "recall_add_10", "recall_add_20")
OF_OBJECT = "/mean_keypoints"
"""Ends the columns that tell objects apart."""
LEGEND_ROWS = 16


def plot_curves(run: Path, picture: Path) -> None:
    """Draw the losses and the validation figures of a run's folder to a PNG file."""
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt
    from matplotlib.ticker import LogLocator, NullFormatter

    training, validation = read_log(run / TRAINING_LOG), read_log(run / VALIDATION_LOG)
    figure, ((losses, errors), (shares, objects)) = plt.subplots(
        2, 2, figsize=(14, 8.4), layout="constrained"
    )
    losses.set(title="Training losses", yscale="log")
    for name in LOSSES:
        losses.plot([r["step"] for r in training], [r[name] for r in training], label=name)
    by_object = [name for name in (validation or [{}])[0] if name.endswith(OF_OBJECT)]
    errors.set(title="Held-out keypoint error (px of the image)", yscale="log")
    shares.set(title="Held-out masks and poses", ylim=(0, 1))
    objects.set(title="Held-out keypoint error by object (mean, px of the image)", yscale="log")
    objects.set_prop_cycle(color=plt.get_cmap("turbo")(_spread(len(by_object))))
    steps = [r["step"] for r in validation]
    for axes, names in ((errors, ERRORS), (shares, SHARES), (objects, by_object)):
        for name in names:
            label = name.removesuffix(OF_OBJECT)
            axes.plot(steps, [r[name] for r in validation], marker=".", label=label)
    for axes in (losses, errors, shares, objects):
        axes.set_xlabel("step")
        axes.grid(alpha=0.3)
        if axes.get_yscale() == "log":
            axes.yaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
            axes.yaxis.set_major_formatter("{x:g}")
            axes.yaxis.set_minor_formatter(NullFormatter())
        if axes.lines and axes.lines[0].get_xdata().size:
            columns = -(-len(axes.lines) // LEGEND_ROWS)
            axes.legend(ncols=columns, fontsize="small", loc="center left", bbox_to_anchor=(1, 0.5))
    figure.savefig(picture, dpi=110)
    plt.close(figure)


def _spread(count: int) -> list[float]:
    """Places on a colour map, away from its dark ends."""
    return [0.05 + 0.9 * i / max(count - 1, 1) for i in range(count)] or [0.5]
