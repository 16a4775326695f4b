"""One number in [0, 1] that says how far to trust a pose.

The raw score is a product, each factor of which is 1 where nothing speaks against the pose:

    raw = p * exp(-1/2 (e / TOLERANCE)^2) * c * n / (n + FEW)

with p the mask's mean softmax probability; e the keypoints' root mean square reprojection error, of
the object's size in the image; c what the outline covers of its area (1 if none was laid); n the
mask's number of pixels, at 640x480. A calibration measured on ground truth turns the raw score into
the probability of a right pose. docs/ablations.md shows what each factor is worth.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from casapose_ros.errors import ConfigError

TOLERANCE = 0.1
"""Of the object's size: keypoints so far from their projections cost 40 % of the score."""
FEW = 600
"""px at 640x480: so few speak half as much as many."""
UNCOVERED = 0.01
"""Where the outline fits nowhere near, the pose is hardly ever right: 1 of 72, on renders."""


@dataclass(frozen=True)
class ScoreCalibration:
    """Logistic calibration ``sigmoid(slope * logit(raw) + offset)`` (Platt, 1999).

    Attributes:
        slope: Positive; 1 together with offset 0 leaves the score as it is.
        offset: Shift on the logit scale.
    """

    slope: float = 1.0
    offset: float = 0.0

    def __post_init__(self) -> None:
        if not (np.isfinite(self.slope) and self.slope > 0 and np.isfinite(self.offset)):
            raise ConfigError(
                f"score calibration needs slope > 0 and a finite offset, got {self.slope} and "
                f"{self.offset}"
            )

    def __call__(self, raw: float) -> float:
        """Calibrate a raw score in [0, 1]."""
        raw = float(np.clip(raw, 1e-9, 1 - 1e-9))
        return float(1 / (1 + np.exp(-(self.slope * np.log(raw / (1 - raw)) + self.offset))))


def raw_score(mask_probability: float, error: float, cover: float, pixels: float) -> float:
    """The uncalibrated score.

    Args:
        mask_probability: Mean softmax probability over the mask, 0..1.
        error: Root mean square reprojection error of the keypoints, of the object's diameter as it
            appears in the image.
        cover: What the outline covers of its area, see :class:`casapose_ros.outlines.Fit`; 1 if
            there is none.
        pixels: Of the mask, as in an image of 640x480.
    """
    consistency = np.exp(-0.5 * (error / TOLERANCE) ** 2)
    covered = np.clip(cover, UNCOVERED, 1.0)
    return float(mask_probability * consistency * covered * pixels / (pixels + FEW))
