"""Which topics of a bag to evaluate: those that were named, else those there is no doubt about."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from casapose_ros.bags import message_types as types
from casapose_ros.bags.index import BagIndex, Images
from casapose_ros.errors import ConfigError, DatasetError
from casapose_ros.image_messages import RECTIFIED_TOPIC, knows_encoding, may_be_picture
from casapose_ros.types import CameraModel

COMPRESSED_SUFFIX = "/compressed"
"""What image_transport adds to an image topic's name."""
RECTIFIED = ("auto", "true", "false")


MAX_LISTED = 12
"""So many topics are listed in an error; a robot's bag may have thousands."""


@dataclass(frozen=True)
class BagOptions:
    """How a bag is to be read.

    What belongs to a camera is named once for each of the ``image_topics``, in their order, or
    once where there is one camera.

    Attributes:
        image_topics: One for each camera to evaluate; empty for the only one there is.
        info_topics: Calibrations; empty for those beside the images.
        truth_topics: True poses; empty for the only ones that can be.
        truth_files: ``scene_gt.json`` of BOP scenes to use instead.
        camera: Takes the place of all calibrations in the bag.
        rectified: Whether images are rectified: ``auto`` goes by the topic's name.
        limit: Only so many images.

    Raises:
        ConfigError: An option is out of range, or two of them contradict each other.
    """

    image_topics: tuple[str, ...] = ()
    info_topics: tuple[str, ...] = ()
    truth_topics: tuple[str, ...] = ()
    truth_files: tuple[Path, ...] = ()
    camera: CameraModel | None = None
    rectified: str = "auto"
    limit: int | None = None

    def __post_init__(self) -> None:
        if self.rectified not in RECTIFIED:
            raise ConfigError(f"rectified is {' or '.join(RECTIFIED)}, got {self.rectified!r}")
        if self.limit is not None and self.limit < 1:
            raise ConfigError(f"the limit must be at least 1, got {self.limit}")
        if len(set(self.image_topics)) < len(self.image_topics):
            raise ConfigError(f"an image topic is named twice: {', '.join(self.image_topics)}")
        if self.truth_topics and self.truth_files:
            raise ConfigError("ground truth comes from a topic or from a file, not from both")
        if self.info_topics and self.camera:
            raise ConfigError("the calibration comes from a topic or from a file, not from both")
        for option, topics in (("info", self.info_topics), ("truth", self.truth_topics)):
            if len(topics) not in (0, self.cameras):
                raise ConfigError(
                    f"--{option}-topic is given {len(topics)} times for {self.cameras} camera(s): "
                    "give it once for each --image-topic, in the same order"
                )

    @property
    def cameras(self) -> int:
        """How many cameras are evaluated."""
        return max(1, len(self.image_topics))

    def of_bag(self, number: int, bags: int) -> BagOptions:
        """The options of one of several bags: its own share of the files of ground truth.

        Raises:
            ConfigError: There are not as many files as cameras in all bags.
        """
        given, wanted = len(self.truth_files), bags * self.cameras
        if given not in (0, wanted):
            raise ConfigError(
                f"--truth is given {given} times for {wanted} cameras ({bags} bag(s) with "
                f"{self.cameras} each): each needs its own, in the order of the bags, and in each "
                "bag of its --image-topic"
            )
        first = number * self.cameras
        mine = self.truth_files[first : first + self.cameras]
        return replace(self, truth_files=mine)


@dataclass(frozen=True)
class CameraTopics:
    """The topics of one camera.

    Attributes:
        image: Its images.
        info: Its calibration; None if that comes from a file.
        truth: True poses; None if they come from a file.
        rectified: Whether its images are rectified.
        truth_file: That file; None without one.
    """

    image: str
    info: str | None
    truth: str | None
    rectified: bool
    truth_file: Path | None = None


def choose_topics(
    index: BagIndex, options: BagOptions, truth: bool = True
) -> tuple[CameraTopics, ...]:
    """The topics to evaluate, camera by camera.

    Args:
        index: What is in the bag.
        options: What was named.
        truth: Whether true poses are needed.

    Raises:
        ConfigError: There are not as many files of ground truth as cameras.
        DatasetError: A topic is missing, has another type, or it is in doubt which one is meant;
            the message lists the topics, and what of the bag was lost.
    """
    files: tuple[Path | None, ...] = options.of_bag(0, bags=1).truth_files
    images = options.image_topics or (_only_image_topic(index),)
    for name in images:
        _check(index, name, (types.IMAGE, types.COMPRESSED_IMAGE), index.images)
    truths: tuple[str | None, ...] = (None,) * len(images)
    if truth and not files:
        truths = _truth_topics(index, images, options)
    return tuple(
        CameraTopics(
            image=name,
            info=None if options.camera else _info_topic(index, number, name, options),
            truth=truths[number],
            rectified=RECTIFIED_TOPIC.search(name) is not None
            if options.rectified == "auto"
            else options.rectified == "true",
            truth_file=files[number] if files else None,
        )
        for number, name in enumerate(images)
    )


def _only_image_topic(index: BagIndex) -> str:
    names = {name for name, images in index.images.items() if _shows_colours(images)}
    # The same images raw and compressed: the raw ones lack nothing.
    names -= {f"{name}{COMPRESSED_SUFFIX}" for name in names}
    # A camera has its calibration beside it, a picture that some node has drawn has not.
    calibrated = {name for name in names if _info_beside(name) in index.infos}
    for certain in (calibrated, names):
        if len(certain) == 1:
            return certain.pop()
    if names:
        raise _refusal(
            index,
            f"several image topics ({_shortened(sorted(names))}): name those to evaluate with "
            "--image-topic",
        )
    if index.images:
        found = sorted(
            f"{name} ({', '.join(repr(text) for text in images.formats)})"
            for name, images in index.images.items()
        )
        raise _refusal(index, f"no colour images that can be decoded: {_shortened(found)}")
    raise _refusal(index, "no images in this bag")


def _shows_colours(images: Images) -> bool:
    """Whether these may be pictures of a camera, and no depth images."""
    if images.type == types.IMAGE:
        return any(knows_encoding(name) for name in images.formats)
    return any(may_be_picture(name) for name in images.formats)


def _info_topic(index: BagIndex, number: int, image: str, options: BagOptions) -> str:
    if options.info_topics:
        name = options.info_topics[number]
        _check(index, name, (types.CAMERA_INFO,), index.infos)
        return name
    beside = _info_beside(image)
    if beside in index.infos:
        return beside
    if not index.infos:
        raise _refusal(
            index, f"no calibration (camera_info) in this bag: give {image} one with --camera FILE"
        )
    frames = set(index.images[image].frame_ids)
    candidates = [
        name
        for name, infos in index.infos.items()
        if (frames.issubset(infos.frame_ids) and not _is_anothers(index, name, image))
        or (len(index.images), len(index.infos)) == (1, 1)
    ]
    if len(candidates) == 1:
        return candidates[0]
    why = "several may belong" if candidates else "none belongs"
    raise _refusal(
        index,
        f"no camera_info on {beside}, and of the other calibrations {why} to {image}: name the "
        "topic with --info-topic, or give a file with --camera",
    )


def _info_beside(image: str) -> str:
    """Where a camera publishes its calibration by convention."""
    return f"{_namespace(image)}/camera_info"


def _namespace(topic: str) -> str:
    return topic.removesuffix(COMPRESSED_SUFFIX).rpartition("/")[0]


def _is_anothers(index: BagIndex, topic: str, image: str) -> bool:
    """Whether a topic lies beside the images of a camera other than this image's."""
    mine, its = _namespace(image), _namespace(topic)
    if not its or f"{mine}/".startswith(f"{its}/"):
        return False
    return any(_namespace(name) == its for name in index.images)


def _truth_topics(index: BagIndex, images: tuple[str, ...], options: BagOptions) -> tuple[str, ...]:
    """The true poses of each camera."""
    if options.truth_topics:
        for name in options.truth_topics:
            _check(index, name, (types.OBJECT_POSE_ARRAY,), index.truths)
        return options.truth_topics
    chosen = tuple(_truth_topic(index, image) for image in images)
    for name in set(chosen):
        sharing = [image for image, truth in zip(images, chosen, strict=True) if truth == name]
        frames = [frame for image in sharing for frame in index.images[image].frame_ids]
        if len(sharing) > 1 and len(frames) > len(set(frames)):
            # Poses are a camera's own, and nothing but the frame says whose these are.
            raise _refusal(
                index,
                f"{name} is the ground truth of one camera, and {', '.join(sharing)} have the "
                "same frame: name the topic of each with --truth-topic, once for each "
                "--image-topic, or evaluate one of them",
            )
    return chosen


def _truth_topic(index: BagIndex, image: str) -> str:
    # A pose node records the same type, but says which model its poses are from.
    names = [name for name, truths in index.truths.items() if not truths.models]
    beside = [name for name in names if _namespace(name) == _namespace(image)]
    if len(beside) == 1:
        return beside[0]
    if len(names) == 1 and not _is_anothers(index, names[0], image):
        return names[0]
    if len(names) == 1:
        why = f"no ground truth of {image}: {names[0]} lies beside another camera"
    elif names:
        why = f"several topics of ground truth ({_shortened(sorted(names))})"
    elif index.truths:
        why = f"no ground truth: the poses on {_shortened(sorted(index.truths))} are a model's"
    else:
        why = "no ground truth in this bag"
    raise _refusal(
        index,
        f"{why}; name a topic of type {types.OBJECT_POSE_ARRAY} with --truth-topic, or give a BOP "
        "scene_gt.json with --truth",
    )


def _check(index: BagIndex, name: str, wanted: tuple[str, ...], tracks: dict[str, object]) -> None:
    if name in tracks:
        return
    found = [topic for topic in index.topics if topic.name == name]
    if not found:
        why = f"no topic {name}"
    elif found[0].type not in wanted:
        why = f"{name} has the type {found[0].type}, not {' or '.join(wanted)}"
    else:
        why = f"{name} has no whole message"
    raise _refusal(index, why)


def _refusal(index: BagIndex, why: str) -> DatasetError:
    """The error that says why, what there is, and what was lost and may be the reason."""
    lost = f"; lost: {'; '.join(index.problems)}" if index.problems else ""
    return DatasetError(f"{index.name}: {why}; {_listing(index)}{lost}")


def _listing(index: BagIndex) -> str:
    if not index.topics:
        return "it has no topics at all"
    # Those that may have been meant come first.
    kinds = (types.IMAGE, types.COMPRESSED_IMAGE, types.OBJECT_POSE_ARRAY, types.CAMERA_INFO)
    topics = sorted(index.topics, key=lambda topic: topic.type not in kinds)
    return f"its topics: {_shortened([f'{t.name} ({t.type}, {t.count})' for t in topics])}"


def _shortened(texts: Sequence[str]) -> str:
    """The first few of many."""
    more = len(texts) - MAX_LISTED
    return ", ".join([*texts[:MAX_LISTED], *([f"and {more} more"] if more > 0 else [])])
