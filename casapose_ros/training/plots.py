"""Curves of a training run as a picture."""

from __future__ import annotations

from pathlib import Path

from casapose_ros.training.logs import TRAINING_LOG, VALIDATION_LOG, read_log


def plot_curves(run: Path, picture: Path) -> None:
    """Draw the losses and the validation figures of a run's folder to a PNG file."""
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    training, validation = read_log(run / TRAINING_LOG), read_log(run / VALIDATION_LOG)
    figure, (left, middle, right) = plt.subplots(1, 3, figsize=(15, 4.2), layout="constrained")
    for name in ("segmentation", "vectors", "voting", "keypoints"):
        left.semilogy([r["step"] for r in training], [r[name] for r in training], label=name)
    left.set(title="Training losses", xlabel="step")
    steps = [r["step"] for r in validation]
    for name in ("keypoint_error", "median_keypoint_error"):
        middle.semilogy(steps, [r[name] for r in validation], marker=".", label=name)
    middle.set(title="Held-out keypoint error (px of the image)", xlabel="step")
    for name in ("mask_iou", "recall_add_10", "recall_add_20"):
        right.plot(steps, [r[name] for r in validation], marker=".", label=name)
    right.set(title="Held-out masks and poses", xlabel="step", ylim=(0, 1))
    for axes in (left, middle, right):
        axes.grid(alpha=0.3)
        if axes.lines and axes.lines[0].get_xdata().size:
            axes.legend()
    figure.savefig(picture, dpi=110)
    plt.close(figure)
