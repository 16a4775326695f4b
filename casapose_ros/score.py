"""One number in [0, 1] that says how far to trust a pose.

The raw score is the mask's mean softmax probability times a consistency term,

    raw = mask_probability * exp(-1/2 (e / (TOLERANCE * s))^2),

with e the keypoints' root mean square reprojection error and s the object's diameter as it
appears in the image, both in px: an error of 5 % of the object's size costs 40 % of the score.
A calibration measured on ground truth turns the raw score into the probability of a right pose.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from casapose_ros.errors import ConfigError

TOLERANCE = 0.05


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


def raw_score(mask_probability: float, reprojection_error: float, apparent_size: float) -> float:
    """The uncalibrated score.

    Args:
        mask_probability: Mean softmax probability over the mask, 0..1.
        reprojection_error: Root mean square over the keypoints, px.
        apparent_size: The object's diameter in the image, px.
    """
    relative = reprojection_error / (TOLERANCE * apparent_size)
    return float(mask_probability * np.exp(-0.5 * relative**2))
