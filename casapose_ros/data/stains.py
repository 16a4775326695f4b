"""Stains, wear and unevenness of colour: a pattern that fills space and repeats without seams."""

from __future__ import annotations

import numpy as np

CELLS = 32
ROUGHNESS = 1.5
"""Amplitude falls with this power of the frequency: blotches of all sizes."""
SPREAD = 0.25
"""Standard deviation in a range of 0..1."""
COLOURED = 0.15
"""Share of the pattern that differs between the colour channels."""


def stain_pattern() -> np.ndarray:
    """(CELLS, CELLS, CELLS, 4) uint8, the same at every call; mean grey changes nothing."""
    rng = np.random.default_rng(0)
    grey, *channels = (_noise(rng) for _ in range(4))
    values = [(1 - COLOURED) * grey + COLOURED * channel for channel in channels]
    coloured = [0.5 + SPREAD * v / v.std() for v in values]
    pattern = np.stack([*coloured, np.ones_like(grey)], axis=-1)
    return np.round(255 * pattern.clip(0, 1)).astype(np.uint8)


def _noise(rng: np.random.Generator) -> np.ndarray:
    """(CELLS, CELLS, CELLS) periodic noise with zero mean and standard deviation 1."""
    frequency = np.fft.fftfreq(CELLS, 1 / CELLS)
    x, y, z = np.meshgrid(frequency, frequency, frequency, indexing="ij")
    length = np.sqrt(x**2 + y**2 + z**2)
    length[0, 0, 0] = np.inf
    noise = np.fft.ifftn(np.fft.fftn(rng.normal(size=(CELLS,) * 3)) * length**-ROUGHNESS).real
    return noise / noise.std()
