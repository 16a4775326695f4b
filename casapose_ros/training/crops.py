"""One training crop: a turned and scaled part of a frame, varied, with its truth."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

from casapose_ros.data.augmentation import augment_image
from casapose_ros.data.frame_cache import FrameCache
from casapose_ros.data.occluders import paste_occluders
from casapose_ros.data.targets import MAX_NUMBER, present_values
from casapose_ros.errors import ConfigError
from casapose_ros.training.mask_corruption import corrupt_labels

OWN_ESTIMATE = 255
"""Fills the guide of crops whose decoder 2 is guided by the network's own masks."""
COARSE = 4
"""Every so many pixels of a frame are looked at to find its objects."""


@dataclass(frozen=True)
class CropConfig:
    """How a crop is taken.

    Attributes:
        size: Side of the square crop at network resolution, px, divisible by 8.
        centred: Fraction of crops that are placed on an object; the others on any pixel.
        jitter: Largest offset of the object's centre from the crop's, as a fraction of ``size``.
        max_rotation: In-plane rotation, degrees.
        max_zoom: Largest factor by which a crop is enlarged or reduced.
        overhang: Largest part of a crop's side that lies outside the frame, before rotation.
        pixels: Foreground pixels at which vectors are learned, per crop.
        augmentation: Strength of the photometric augmentation; 1 is the paper's.
        occluders: Fraction of crops with something pasted over an object.
        occluder_size: Range of its size, of the square root of the object's area.
        max_occluders: Most pieces that are pasted into a crop.
        corrupted_masks: Fraction of crops whose decoder 2 is guided by a mask with errors.
        predicted_masks: Fraction of crops whose decoder 2 is guided by the network's own mask.
    """

    size: int = 128
    centred: float = 0.9
    jitter: float = 0.3
    max_rotation: float = 10.0
    max_zoom: float = 1.15
    overhang: float = 0.1
    pixels: int = 1024
    augmentation: float = 1.0
    occluders: float = 0.0
    occluder_size: tuple[float, float] = (0.3, 1.0)
    max_occluders: int = 2
    corrupted_masks: float = 0.0
    predicted_masks: float = 0.0

    def __post_init__(self) -> None:
        if self.size < 8 or self.size % 8:
            raise ConfigError(f"crop size must be a positive multiple of 8, got {self.size}")
        for name in ("centred", "occluders", "corrupted_masks", "predicted_masks"):
            if not 0 <= getattr(self, name) <= 1:
                raise ConfigError(f"{name} must be in [0, 1], got {getattr(self, name)}")
        if self.corrupted_masks + self.predicted_masks > 1:
            raise ConfigError(
                "corrupted_masks and predicted_masks exclude each other in a crop: their sum must "
                f"be at most 1, got {self.corrupted_masks} + {self.predicted_masks}"
            )
        low, high = self.occluder_size
        if not 0 < low <= high:
            raise ConfigError(f"occluder_size must be a range above 0, got {self.occluder_size}")
        if self.pixels < 1:
            raise ConfigError(f"pixels must be at least 1, got {self.pixels}")
        if self.max_occluders < 1:
            raise ConfigError(f"max_occluders must be at least 1, got {self.max_occluders}")
        if self.augmentation < 0 or self.max_zoom < 1:
            raise ConfigError(
                f"augmentation must be at least 0 and max_zoom at least 1, got "
                f"{self.augmentation} and {self.max_zoom}"
            )


@dataclass(frozen=True)
class Crop:
    """One crop of ``size`` S at network resolution.

    Attributes:
        image: (S, S, 3) uint8 RGB.
        labels: (S, S) uint8 true numbers of the instances that are visible, as in the frames.
        classes: (K+E,) uint8 class ids of instances 1, 2, ...
        guide: (S, S) uint8 classes that guide decoder 2; all ``OWN_ESTIMATE`` for the network's.
        pixels: (P,) int32 flattened pixels that are foreground in ``labels`` or in ``guide``.
        keypoints: (K+E, S, 9, 2) float32 px, x then y, of poses that look alike; zeros where an
            instance is absent.
    """

    image: np.ndarray
    labels: np.ndarray
    classes: np.ndarray
    guide: np.ndarray
    pixels: np.ndarray
    keypoints: np.ndarray


def make_crop(
    frames: FrameCache,
    config: CropConfig,
    rng: np.random.Generator,
    weights: np.ndarray | None = None,
) -> Crop:
    """Draw a frame and a crop of it.

    Args:
        frames: What to draw from.
        config: How the crop is taken.
        rng: Source of randomness.
        weights: (K,) positive, how often a crop is placed on each object; None for all alike.
    """
    index = int(rng.integers(len(frames)))
    labels, classes = frames.labels[index], frames.classes[index]
    to_crop = _affine(_centre(labels, classes, config, rng, weights), config, rng)
    size = (config.size, config.size)
    image = cv2.warpAffine(frames.images[index], to_crop, size, flags=cv2.INTER_LINEAR)
    labels = cv2.warpAffine(labels, to_crop, size, flags=cv2.INTER_NEAREST)
    # Keypoints have pixel centres at 0.5, warpAffine has them at integers.
    keypoints = (frames.keypoints[index] - 0.5) @ to_crop[:, :2].T + to_crop[:, 2] + 0.5
    if rng.random() < config.occluders:
        count = int(rng.integers(1, config.max_occluders + 1))
        image, labels = paste_occluders(image, labels, frames, config.occluder_size, count, rng)
    guide = _guide(class_map(labels, classes), config, rng)
    return Crop(
        image=augment_image(image, rng, config.augmentation),
        labels=labels,
        classes=classes,
        guide=guide,
        pixels=_foreground_sample(labels, guide, config.pixels, rng),
        keypoints=np.where(np.isnan(keypoints), 0, keypoints).astype(np.float32),
    )


def class_map(labels: np.ndarray, classes: np.ndarray) -> np.ndarray:
    """(H, W) uint8 class ids of a map of instance numbers.

    Args:
        labels: (H, W) uint8.
        classes: (K+E,) uint8 class ids of instances 1, 2, ...
    """
    table = np.zeros(MAX_NUMBER + 1, np.uint8)
    table[1 : 1 + len(classes)] = classes
    return cv2.LUT(labels, table)


def _centre(
    labels: np.ndarray,
    classes: np.ndarray,
    config: CropConfig,
    rng: np.random.Generator,
    weights: np.ndarray | None,
) -> np.ndarray:
    """Where in the frame the crop looks, px (x, y)."""
    size = np.array(labels.shape[::-1])
    coarse = labels[::COARSE, ::COARSE]
    numbers = present_values(coarse)
    if not len(numbers) or rng.random() >= config.centred:
        centre = rng.uniform((0, 0), size)
    else:
        rows, columns = np.nonzero(coarse == _chosen(numbers, classes, rng, weights))
        jitter = rng.uniform(-config.jitter, config.jitter, 2) * config.size
        centre = COARSE * np.array([columns.mean(), rows.mean()]) + jitter
    margin = (0.5 - config.overhang) * config.size
    return np.clip(centre, margin, size - margin)


def _chosen(
    numbers: np.ndarray, classes: np.ndarray, rng: np.random.Generator, weights: np.ndarray | None
) -> int:
    """One of the instances: an object by its weight, then any instance of it."""
    of_number = classes[numbers - 1]
    objects = np.unique(of_number)
    shares = None if weights is None else weights[objects - 1] / weights[objects - 1].sum()
    instances = numbers[of_number == rng.choice(objects, p=shares)]
    return instances[0] if len(instances) == 1 else rng.choice(instances)


def _affine(centre: np.ndarray, config: CropConfig, rng: np.random.Generator) -> np.ndarray:
    """(2, 3) affine map from the frame's pixels to the crop's."""
    angle = np.deg2rad(rng.uniform(-config.max_rotation, config.max_rotation))
    zoom = np.exp(rng.uniform(-1, 1) * np.log(config.max_zoom))
    c, s = zoom * np.cos(angle), zoom * np.sin(angle)
    turn = np.array([[c, -s], [s, c]])
    shift = (config.size - 1) / 2 - turn @ centre
    return np.concatenate([turn, shift[:, None]], axis=1)


def _guide(labels: np.ndarray, config: CropConfig, rng: np.random.Generator) -> np.ndarray:
    draw = rng.random()
    if draw < config.predicted_masks:
        return np.full_like(labels, OWN_ESTIMATE)
    if draw < config.predicted_masks + config.corrupted_masks:
        return corrupt_labels(labels, rng)
    return labels


def _foreground_sample(
    labels: np.ndarray, guide: np.ndarray, count: int, rng: np.random.Generator
) -> np.ndarray:
    """(count,) int32 flattened foreground pixels, with repetition; zeros where there is none.

    Where pixel 0 stands in, no vectors are learned on it: it is background.
    """
    if guide[0, 0] == OWN_ESTIMATE:
        guide = labels
    foreground = np.flatnonzero(labels | guide)
    if not len(foreground):
        return np.zeros(count, np.int32)
    return rng.choice(foreground, count, replace=len(foreground) < count).astype(np.int32)
