"""A bag as a source of frames for evaluation."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection, Iterator, Sequence
from pathlib import Path

from casapose_ros.bags.choosing import BagOptions, CameraTopics, choose_topics
from casapose_ros.bags.index import BagIndex
from casapose_ros.bags.joining import CameraFrames
from casapose_ros.bags.reading import BagReader
from casapose_ros.bags.storage import Losses
from casapose_ros.bags.truths import SceneTruths, names_of
from casapose_ros.evaluation.judging import Frame
from casapose_ros.types import ObjectModel


class BagSource:
    """Every image of a bag that has a calibration and ground truth, in the order of recording.

    A frame's name is ``<bag><topic>/<stamp in nanoseconds>``. Images without a calibration or
    without ground truth are left out and counted, as is what cannot be decoded. The bag is read
    through when something is first asked of it; what is found then is kept, also where the object
    is sent to another process. All methods may raise a :class:`CasaposeError`: the bag cannot be
    read, or its topics, calibrations or ground truth cannot be used at all.

    Args:
        path: The bag.
        objects: All objects that the model knows.
        options: Topics and files to use.

    Attributes:
        name: The bag's path.
    """

    def __init__(
        self, path: str | Path, objects: Sequence[ObjectModel], options: BagOptions | None = None
    ) -> None:
        self.name = str(path)
        self._objects = tuple(objects)
        self._options = options or BagOptions()
        self._index: BagIndex | None = None
        self._losses = Losses()

    def __len__(self) -> int:
        """Images on the chosen topics, also those that turn out not to be usable."""
        index = self._read_index()
        count = sum(len(index.images[topics.image]) for topics in self._topics())
        return count if self._options.limit is None else min(count, self._options.limit)

    @property
    def problems(self) -> list[str]:
        """What was lost or skipped so far, one sentence each."""
        found = [*(self._index.problems if self._index else ()), *self._losses.sentences()]
        return [text if text.startswith(self.name) else f"{self.name}: {text}" for text in found]

    @property
    def counts(self) -> dict[str, int]:
        """How often each object occurs in the ground truth, by name; unknown ones too."""
        index, names = self._read_index(), names_of(self._objects)
        counts: Counter[str] = Counter()
        # Cameras may share a topic.
        for topic in {topics.truth for topics in self._topics()} - {None}:
            for name, count in index.truths[topic].names.items():
                counts[names.get(name, name)] += count
        for topics in self._topics():
            if topics.truth_file is not None:
                images = index.images[topics.image]
                counts.update(SceneTruths(topics.truth_file, images, self._objects).counts)
        return dict(sorted(counts.items()))

    def frames(self, done: Collection[str] = ()) -> Iterator[Frame]:
        """All frames but those whose names are in ``done``."""
        self._losses = Losses()
        self._note_truth()
        return self._frames(lambda name: name not in done, self._losses, self._options.limit)

    def find(self, names: Collection[str]) -> dict[str, Frame]:
        """A few frames by name, to draw them."""
        found = self._frames(lambda name: name in names, Losses(), limit=None)
        return {frame.name: frame for frame in found}

    def _frames(
        self, wanted: Callable[[str], bool], losses: Losses, limit: int | None
    ) -> Iterator[Frame]:
        with BagReader(self.name, self._read_index()) as reader:
            count = 0
            for topics in self._topics():
                camera = CameraFrames(reader, topics, self._objects, self._options, losses)
                for image, name in camera.images():
                    if count == limit:
                        return
                    frame = camera.frame(image, name) if wanted(name) else None
                    # Those that were done before count too, so that the limit stays the same.
                    count += frame is not None or not wanted(name)
                    if frame is not None:
                        yield frame

    def _read_index(self) -> BagIndex:
        if self._index is None:
            with BagReader(self.name) as reader:
                self._index = reader.index
        return self._index

    def _topics(self) -> tuple[CameraTopics, ...]:
        return choose_topics(self._read_index(), self._options)

    def _note_truth(self) -> None:
        known = {obj.name for obj in self._objects}
        others = [f"{name} ({n} times)" for name, n in self.counts.items() if name not in known]
        if others:
            self._losses.note(
                f"ground truth of objects that the model does not know: {', '.join(others)}"
            )
        truths = {topics.truth for topics in self._topics()} - {None}
        if any(self._read_index().truths[topic].all_hidden for topic in truths):
            self._losses.note(
                "the score of all true objects is 0: it is the visible fraction, so none of them "
                "is asked for"
            )
