"""How a camera's image gets into the network and pixels come back: all resize arithmetic.

The image is scaled, aspect ratio kept, to fit into the network's input size, and then padded at
the right and the bottom to the next multiple of eight, in the grey that the network sees as zero,
like the zeros its convolutions pad with. Nothing is stretched, no size is refused, and what lies in
the padding is cut off the fields before anyone reads them. Sizes are (width, height).
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace

import numpy as np

from casapose_ros.errors import ConfigError
from casapose_ros.geometry import resize_image
from casapose_ros.types import STRIDE, Fields, Keypoints

REFERENCE_AREA = 640 * 480
"""Image area, px, at which the settings that count pixels are meant."""

PADDING_GREY = 127


@dataclass(frozen=True)
class Framing:
    """The place of one image in the network's input, at the top left.

    Attributes:
        image_size: (width, height) of the camera's image, px.
        content_size: (width, height) of the scaled image inside the network's input, px.
    """

    image_size: tuple[int, int]
    content_size: tuple[int, int]

    @classmethod
    def fit(cls, image_size: tuple[int, int], network_size: tuple[int, int] | None) -> Framing:
        """Scale an image to fit into ``network_size``; None keeps its own size."""
        if network_size is None:
            return cls(image_size, image_size)
        scale = min(n / i for n, i in zip(network_size, image_size, strict=True))
        width, height = (max(1, round(i * scale)) for i in image_size)
        return cls(image_size, (width, height))

    @property
    def input_size(self) -> tuple[int, int]:
        """(width, height) of the network's input: the content and its padding."""
        width, height = (-(-side // STRIDE) * STRIDE for side in self.content_size)
        return width, height

    @property
    def scale(self) -> np.ndarray:
        """(2,) px of the image per px of the network, x then y; they differ by rounding only."""
        return np.divide(self.image_size, self.content_size)

    def to_network(self, image: np.ndarray) -> np.ndarray:
        """Scale and pad an (H, W, 3) uint8 image to the network's input."""
        if self.content_size != self.image_size:
            image = resize_image(image, self.content_size)
        (width, height), (padded_width, padded_height) = self.content_size, self.input_size
        if (padded_width, padded_height) == (width, height):
            return image
        padded = np.full((padded_height, padded_width, 3), PADDING_GREY, dtype=np.uint8)
        padded[:height, :width] = image
        return padded

    def crop(self, fields: Fields) -> Fields:
        """The fields without the padding, (height, width) of ``content_size``; views."""
        width, height = self.content_size
        return Fields(
            logits=fields.logits[:height, :width],
            vectors=fields.vectors[:height, :width],
            confidence=fields.confidence[:height, :width],
            labels=fields.labels[:height, :width],
        )

    def to_image(self, keypoints: Keypoints) -> Keypoints:
        """Turn px of the network into px of the image.

        With pixel centres at (0.5, 0.5) this is a pure scaling: x_image = x_network * scale.
        """
        scale = self.scale
        x_min, y_min, x_max, y_max = (float(v) for v in keypoints.box * np.tile(scale, 2))
        return replace(
            keypoints,
            points=keypoints.points * scale,
            covariances=keypoints.covariances * np.outer(scale, scale),
            pixels=round(keypoints.pixels * float(np.prod(scale))),
            box=(x_min, y_min, x_max, y_max),
        )


def parse_network_size(text: str) -> tuple[int, int] | None:
    """Read ``WxH`` or ``native``; the latter gives None.

    Raises:
        ConfigError: It is neither.
    """
    if text == "native":
        return None
    match = re.fullmatch(r"([1-9]\d{0,4})x([1-9]\d{0,4})", text)
    if match is None:
        raise ConfigError(f"network size must be WxH, for example 640x480, or native; got {text!r}")
    return int(match[1]), int(match[2])
