"""Which mask pixels speak for which object instance (paper section 3.3, Table 3).

The result is a list of foreground pixels sorted by instance, never a K x H x W stack, so that
everything downstream costs the same for one object as for thirty. ``instances`` tells several
instances of one class apart.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import cv2
import numpy as np

from casapose_ros.errors import ConfigError

COMPONENTS = {"largest": 0, "second": 1, "all": None}
"""Component choices and the rank by size that each takes; ``all`` takes every pixel."""

MIN_COMPONENT_PIXELS = 50


@dataclass(frozen=True)
class Regions:
    """The pixels of every object instance, instance after instance.

    Attributes:
        rows: (N,) int rows of the pixels.
        cols: (N,) int columns of the pixels.
        starts: (R,) int; instance r owns the pixels from ``starts[r]`` up to the next start, at
            least one.
        class_ids: (R,) int labels 1..K.
        instance_ids: (R,) int, 0 for the first instance of its class.
    """

    rows: np.ndarray
    cols: np.ndarray
    starts: np.ndarray
    class_ids: np.ndarray
    instance_ids: np.ndarray

    def __len__(self) -> int:
        return len(self.starts)

    @property
    def counts(self) -> np.ndarray:
        """(R,) int number of pixels of each instance."""
        return np.diff(self.starts, append=len(self.rows))

    def gather(self, image: np.ndarray) -> np.ndarray:
        """Values of an (H, W, ...) image at the regions' pixels; returns (..., N)."""
        flat = image.reshape(image.shape[0] * image.shape[1], -1)
        values = flat.take(self.rows * image.shape[1] + self.cols, axis=0)
        return np.ascontiguousarray(values.T).reshape(*image.shape[2:], -1)

    def sum(self, values: np.ndarray) -> np.ndarray:
        """Sum (N,) values over each instance's pixels; returns (R,)."""
        return np.add.reduceat(values, self.starts) if len(self) else np.zeros(0)

    def spread(self, values: np.ndarray) -> np.ndarray:
        """Repeat (R, ...) values for each of the instance's pixels; returns (N, ...)."""
        return np.repeat(values, self.counts, axis=0)

    def thinned(self, pixels: int) -> Regions:
        """Every n-th pixel of each instance, such that at least ``pixels`` (or all) remain."""
        kept = [
            np.arange(s.start, s.stop, max(1, (s.stop - s.start) // pixels)) for s in self.slices()
        ]
        if not kept:
            return self
        sizes = np.array([len(k) for k in kept])
        members = np.concatenate(kept)
        return replace(
            self,
            rows=self.rows[members],
            cols=self.cols[members],
            starts=np.cumsum(sizes) - sizes,
        )

    def slices(self) -> list[slice]:
        """Where each instance's pixels lie in the lists."""
        ends = self.starts + self.counts
        return [slice(int(a), int(b)) for a, b in zip(self.starts, ends, strict=True)]


def find_regions(
    labels: np.ndarray,
    component: str = "largest",
    min_component_pixels: float = MIN_COMPONENT_PIXELS,
    min_pixels: float = 1,
    runner_up: float | None = None,
) -> Regions:
    """Choose each class's pixels. Background is class 0, however small or large it is.

    Args:
        labels: (H, W) unsigned integer label map.
        component: ``largest`` or ``second`` largest 4-connected component, or ``all`` pixels.
        min_component_pixels: A component with fewer pixels is no component: it ranks as empty,
            behind every real one. Among equals the first in raster order comes first, so a class
            of nothing but crumbs is represented by its first crumb (as in the published method);
            ``min_pixels`` is what rejects it.
        min_pixels: Regions with fewer pixels are left out.
        runner_up: The component after the chosen one is another region, right behind it, if it has
            at least this share of its pixels; None lists the chosen ones alone, as ``all`` does.

    Raises:
        ConfigError: ``component`` is unknown.
    """
    if component not in COMPONENTS:
        raise ConfigError(f"unknown component {component!r}; known: {', '.join(COMPONENTS)}")
    pixels = np.flatnonzero(labels)
    classes = labels.ravel()[pixels]
    if component == "all":
        group = classes.astype(np.intp)
        chosen = class_of = np.arange(int(labels.max(initial=0)) + 1)
    else:
        group = label_components(labels).ravel()[pixels]
        class_of = np.zeros(group.max(initial=0) + 1, dtype=np.intp)
        class_of[group] = classes
        chosen = _ranked(group, class_of, COMPONENTS[component], min_component_pixels, runner_up)
    sizes = np.bincount(group, minlength=len(class_of))
    chosen = chosen[sizes[chosen] >= max(min_pixels, 1)]

    region_of = np.full(len(class_of), -1, dtype=np.int16)
    region_of[chosen] = np.arange(len(chosen))
    region = region_of[group]
    order = np.argsort(region, kind="stable")[np.count_nonzero(region < 0) :]
    rows, cols = np.divmod(pixels[order], labels.shape[1])
    return Regions(
        rows=rows,
        cols=cols,
        starts=np.cumsum(sizes[chosen]) - sizes[chosen],
        class_ids=class_of[chosen],
        instance_ids=np.zeros(len(chosen), dtype=np.intp),
    )


def label_components(labels: np.ndarray) -> np.ndarray:
    """Number the 4-connected components of all classes in one pass, whatever K is.

    OpenCV knows only foreground and background. On a grid of twice the size, where the pixel
    between two neighbours is set only if both have the same label, that is enough.

    Args:
        labels: (H, W) unsigned integer label map.

    Returns:
        (H, W) int32; 0 is background, components are numbered from 1 across all classes.
    """
    height, width = labels.shape
    foreground = labels > 0
    grid = np.zeros((2 * height - 1, 2 * width - 1), dtype=np.uint8)
    grid[::2, ::2] = foreground
    grid[::2, 1::2] = (labels[:, 1:] == labels[:, :-1]) & foreground[:, 1:]
    grid[1::2, ::2] = (labels[1:] == labels[:-1]) & foreground[1:]
    _, components = cv2.connectedComponents(grid, connectivity=4, ltype=cv2.CV_32S)
    return components[::2, ::2]


def _ranked(
    group: np.ndarray,
    class_of: np.ndarray,
    rank: int,
    min_component_pixels: float,
    runner_up: float | None,
) -> np.ndarray:
    """The components that have the wanted rank by size in their class, in order of class.

    Each is followed by the next in rank, if that has ``runner_up`` of its pixels.
    """
    sizes = np.bincount(group, minlength=len(class_of))
    sizes[sizes < min_component_pixels] = 0
    first_pixel = np.zeros(len(class_of), dtype=np.intp)
    first_pixel[group[::-1]] = np.arange(len(group))[::-1]  # the last assignment stays
    order = np.lexsort((first_pixel, -sizes, class_of))
    order = order[class_of[order] > 0]
    classes = class_of[order]
    position_in_class = np.arange(len(order)) - np.searchsorted(classes, classes)
    kept = position_in_class == rank
    if runner_up is not None:
        after = np.flatnonzero(position_in_class == rank + 1)
        kept[after] = sizes[order[after]] >= np.maximum(runner_up * sizes[order[after - 1]], 1)
    return order[kept]
