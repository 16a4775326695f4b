"""A bag's images and calibrations as messages to publish."""

from __future__ import annotations

from collections import Counter
from collections.abc import Generator, Iterator
from pathlib import Path

from rclpy.serialization import deserialize_message
from sensor_msgs.msg import CameraInfo, Image
from std_msgs.msg import Header

from casapose_ros.bags.message_types import CAMERA_INFO, COMPRESSED_IMAGE, IMAGE, stamp_ns
from casapose_ros.bags.reading import BagReader, open_bag
from casapose_ros.bags.storage import RawMessage
from casapose_ros.errors import DatasetError, ImageError
from casapose_ros.image_messages import compressed_to_rgb
from casapose_ros.ros import conversions
from casapose_ros.ros.replay_run import RecordedImage

LONGEST_DELAY = 1.0
"""Seconds from a stamp to its recording, beyond which the two are times of different clocks."""


class Recording:
    """What is replayed of a bag.

    Raw images go out as they were recorded. The node takes no compressed ones, so these are
    decoded, as an ``image_transport republish`` beside it would do.

    Args:
        path: The bag.
        image_topic: Raw or compressed images.
        info_topic: Their calibration; None if that comes from elsewhere.
        limit: Only so many images; all if None.

    Raises:
        DatasetError: The bag cannot be read, or has nothing on one of the topics.
    """

    def __init__(
        self, path: Path, image_topic: str, info_topic: str | None, limit: int | None = None
    ) -> None:
        self._path = path
        self._topics = {image_topic, info_topic} - {None}
        self._skipped: Counter[str] = Counter()
        with open_bag(path) as bag:
            self._index = bag.index
            # Damaged images at the start are skipped here as they are in the replay.
            images, infos = self._items(bag, {image_topic}), self._items(bag, {info_topic})
            self.first_image = next((i for i in images if isinstance(i, RecordedImage)), None)
            self.first_info = next((i for i in infos if isinstance(i, CameraInfo)), None)
        if self.first_image is None:
            raise self._nothing_on(image_topic, "image")
        if info_topic is not None and self.first_info is None:
            raise self._nothing_on(info_topic, "camera_info")
        count = len(self._index.images[image_topic])
        self._limit = count if limit is None else min(limit, count)
        self._skipped.clear()

    def __len__(self) -> int:
        return self._limit

    def __iter__(self) -> Generator[RecordedImage | CameraInfo, None, None]:
        with BagReader(self._path, self._index) as bag:
            left = self._limit
            for item in self._items(bag, self._topics):
                yield item
                left -= isinstance(item, RecordedImage)
                if not left:
                    return

    @property
    def problems(self) -> list[str]:
        """What the bag has lost and what was not replayed as recorded, one sentence each."""
        name = str(self._path)
        lost = (t if t.startswith(name) else f"{name}: {t}" for t in self._index.problems)
        skipped = (f"{name}: {n} images {what}" for what, n in self._skipped.items())
        return [*lost, *skipped]

    def _items(self, bag: BagReader, topics: set[str]) -> Iterator[RecordedImage | CameraInfo]:
        for raw in bag.messages(topics):
            try:
                item = self._item(bag, raw)
            except DatasetError:
                continue  # Among the bag's own problems.
            except ImageError:
                self._skipped["cannot be decoded: not sent"] += 1
                continue
            if item is not None:
                yield item

    def _item(self, bag: BagReader, raw: RawMessage) -> RecordedImage | CameraInfo | None:
        content = bag.decode(raw.data, raw.type)
        if raw.type == CAMERA_INFO:
            return deserialize_message(raw.data, CameraInfo)
        if raw.type == IMAGE:
            message = deserialize_message(raw.data, Image)
        elif raw.type == COMPRESSED_IMAGE:
            header = Header(frame_id=content.header.frame_id)
            message = conversions.rgb_to_image(compressed_to_rgb(content), header)
        else:
            return None
        stamp = stamp_ns(content.header.stamp)
        return RecordedImage(message, stamp, raw.log_time, self._delay(raw, stamp))

    def _delay(self, raw: RawMessage, stamp: int) -> int:
        delay = raw.log_time - stamp
        if 0 <= delay <= LONGEST_DELAY * 1e9:
            return delay
        self._skipped["with a stamp that does not fit the time of recording: sent as new"] += 1
        return 0

    def _nothing_on(self, topic: str, kind: str) -> DatasetError:
        topics = ", ".join(f"{t.name} ({t.type}, {t.count})" for t in self._index.topics)
        return DatasetError(f"{self._path}: no {kind} on {topic}; it has {topics or 'nothing'}")
