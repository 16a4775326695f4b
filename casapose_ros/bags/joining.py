"""The images of one camera of a bag, each joined with its calibration and its ground truth."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np

from casapose_ros.bags import message_types as types
from casapose_ros.bags.cameras import CameraTrack
from casapose_ros.bags.choosing import BagOptions, CameraTopics
from casapose_ros.bags.index import Images
from casapose_ros.bags.reading import BagReader
from casapose_ros.bags.storage import Losses
from casapose_ros.bags.truths import NoTruth, SceneTruths, TopicTruths, TruthTrack
from casapose_ros.errors import CameraError, DatasetError, ImageError
from casapose_ros.evaluation.judging import Frame
from casapose_ros.image_messages import check_size, compressed_to_rgb, image_to_rgb
from casapose_ros.types import CameraModel, ObjectModel


class CameraFrames:
    """The images of one camera of an open bag.

    Args:
        reader: The bag.
        topics: The camera's topics.
        objects: All objects that the model knows.
        options: Files to use.
        losses: Told what is left out and why.

    Raises:
        CameraError: The bag has no calibration of this camera that can be used.
        DatasetError: The ground truth cannot be used at all.
    """

    def __init__(
        self,
        reader: BagReader,
        topics: CameraTopics,
        objects: Sequence[ObjectModel],
        options: BagOptions,
        losses: Losses,
    ) -> None:
        self._reader, self._topics, self._losses = reader, topics, losses
        self._images = reader.index.images[topics.image]
        self._camera = options.camera or _camera_track(reader, topics, losses)
        self._truth: TruthTrack
        if topics.truth_file is not None:
            self._truth = SceneTruths(topics.truth_file, self._images, objects)
        else:
            truths = reader.index.truths[topics.truth]
            self._truth = TopicTruths(truths, self._images, objects)

    def images(self) -> Iterator[tuple[int, str]]:
        """Number and name of each image that can be told from all others, as recorded."""
        left_out = _ambiguous(self._reader, self._images, self._losses)
        for image, stamp in enumerate(self._images.stamps):
            if image in left_out:
                continue
            if isinstance(self._camera, CameraTrack) and not self._camera.has(stamp):
                self._losses.count(
                    "image", "without a calibration of the same stamp: the nearest one counts"
                )
            yield image, f"{self._reader.name}{self._topics.image}/{stamp}"

    def frame(self, image: int, name: str) -> Frame | None:
        """Decode an image and join it; None if that is not possible, which is then counted."""
        stamp = self._images.stamps[image]
        try:
            pixels = self._decode(image)
            camera = self._camera_of(pixels, stamp)
            truths = self._truth.objects(self._reader, image)
        except NoTruth as error:
            self._losses.count("image", error.what, error.example)
        except CameraError as error:
            self._losses.count("image", "without a calibration that fits", str(error))
        except (ImageError, DatasetError) as error:
            example = f"{self._topics.image}: {error}"
            self._losses.count("image", "that cannot be decoded", example)
        else:
            source = self._reader.name
            return Frame(name, pixels, camera, truths, source=source, stamp=stamp)
        return None

    def _decode(self, image: int) -> np.ndarray:
        data = self._reader.read(self._images.place(image))
        message = self._reader.decode(data, self._images.type)
        if self._images.type == types.COMPRESSED_IMAGE:
            return compressed_to_rgb(message)
        return image_to_rgb(message)

    def _camera_of(self, pixels: np.ndarray, stamp: int) -> CameraModel:
        height, width = pixels.shape[:2]
        if isinstance(self._camera, CameraTrack):
            return self._camera.camera(stamp, (width, height))
        check_size(self._camera, pixels)
        return self._camera


def _camera_track(reader: BagReader, topics: CameraTopics, losses: Losses) -> CameraTrack:
    try:
        return CameraTrack(reader.index.infos[topics.info], topics.rectified, losses)
    except CameraError as error:
        raise CameraError(f"{reader.name}: {topics.info}: {error}") from error


def _ambiguous(reader: BagReader, images: Images, losses: Losses) -> set[int]:
    """Images that share their stamp with another one; of equal ones the first is kept."""
    stamps = np.array(images.stamps, dtype=np.int64)
    order = np.argsort(stamps, kind="stable")
    starts = np.flatnonzero(np.diff(stamps[order], prepend=stamps[order][:1] - 1))
    left_out: set[int] = set()
    for group in np.split(order, starts[1:]):
        if len(group) == 1:
            continue
        first, *others = (int(i) for i in group)
        content = reader.read(images.place(first))
        left_out.update(others)
        if all(reader.read(images.place(i)) == content for i in others):
            losses.count("image", "recorded more than once: counts once", times=len(others))
        else:
            left_out.add(first)
            what = "left out: different images with one stamp, so which one is the truth's?"
            losses.count("image", what, times=len(group))
    return left_out
