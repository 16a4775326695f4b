"""Which topics of a bag to evaluate: those that were named, else those there is no doubt about."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from casapose_ros.bags import message_types as types
from casapose_ros.bags.index import BagIndex, Images
from casapose_ros.errors import ConfigError, DatasetError
from casapose_ros.image_messages import RECTIFIED_TOPIC, knows_encoding
from casapose_ros.types import CameraModel

COMPRESSED_SUFFIX = "/compressed"
"""What image_transport adds to an image topic's name."""
RECTIFIED = ("auto", "true", "false")


@dataclass(frozen=True)
class BagOptions:
    """How a bag is to be read.

    Attributes:
        image_topics: One for each camera to evaluate; empty for the only one there is.
        info_topic: Calibration of all these cameras; None for the one beside each.
        truth_topic: True poses; None for the only one that can be.
        truth_file: ``scene_gt.json`` of a BOP scene to use instead.
        camera: Takes the place of all calibrations in the bag.
        rectified: Whether images are rectified: ``auto`` goes by the topic's name.
        limit: Only so many images.

    Raises:
        ConfigError: An option is out of range, or two of them contradict each other.
    """

    image_topics: tuple[str, ...] = ()
    info_topic: str | None = None
    truth_topic: str | None = None
    truth_file: Path | None = None
    camera: CameraModel | None = None
    rectified: str = "auto"
    limit: int | None = None

    def __post_init__(self) -> None:
        if self.rectified not in RECTIFIED:
            raise ConfigError(f"rectified is {' or '.join(RECTIFIED)}, got {self.rectified!r}")
        if self.limit is not None and self.limit < 1:
            raise ConfigError(f"the limit must be at least 1, got {self.limit}")
        if self.truth_topic and self.truth_file:
            raise ConfigError("ground truth comes from a topic or from a file, not from both")
        if self.info_topic and self.camera:
            raise ConfigError("the calibration comes from a topic or from a file, not from both")


@dataclass(frozen=True)
class CameraTopics:
    """The topics of one camera.

    Attributes:
        image: Its images.
        info: Its calibration; None if that comes from a file.
        truth: True poses; None if they come from a file.
        rectified: Whether its images are rectified.
    """

    image: str
    info: str | None
    truth: str | None
    rectified: bool


def choose_topics(
    index: BagIndex, options: BagOptions, truth: bool = True
) -> tuple[CameraTopics, ...]:
    """The topics to evaluate, camera by camera.

    Args:
        index: What is in the bag.
        options: What was named.
        truth: Whether true poses are needed.

    Raises:
        DatasetError: A topic is missing, has another type, or it is in doubt which one is meant;
            the message lists the topics.
    """
    images = options.image_topics or (_only_image_topic(index),)
    for name in images:
        _check(index, name, (types.IMAGE, types.COMPRESSED_IMAGE), index.images)
    truth_topic = None
    if truth and not options.truth_file:
        truth_topic = _truth_topic(index, options)
    return tuple(
        CameraTopics(
            image=name,
            info=None if options.camera else _info_topic(index, name, options),
            truth=truth_topic,
            rectified=RECTIFIED_TOPIC.search(name) is not None
            if options.rectified == "auto"
            else options.rectified == "true",
        )
        for name in images
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
    if not names:
        raise DatasetError(f"{index.name}: no images in this bag; {_listing(index)}")
    raise DatasetError(
        f"{index.name}: several image topics ({', '.join(sorted(names))}): name those to evaluate "
        f"with --image-topic; {_listing(index)}"
    )


def _shows_colours(images: Images) -> bool:
    """Whether these may be pictures of a camera, and no depth images."""
    return any(
        knows_encoding(name) or ("jp" in name or "png" in name) and "Depth" not in name
        for name in images.formats
    )


def _info_topic(index: BagIndex, image: str, options: BagOptions) -> str:
    if options.info_topic:
        _check(index, options.info_topic, (types.CAMERA_INFO,), index.infos)
        return options.info_topic
    beside = _info_beside(image)
    if beside in index.infos:
        return beside
    frames = set(index.images[image].frame_ids)
    candidates = [
        name
        for name, infos in index.infos.items()
        if frames.issubset(infos.frame_ids) or (len(index.images), len(index.infos)) == (1, 1)
    ]
    if len(candidates) == 1:
        return candidates[0]
    why = "several may belong" if candidates else "none belongs"
    raise DatasetError(
        f"{index.name}: no camera_info on {beside}, and of the other calibrations {why} to "
        f"{image}: name the topic with --info-topic, or give a file with --camera; "
        f"{_listing(index)}"
    )


def _info_beside(image: str) -> str:
    """Where a camera publishes its calibration by convention."""
    namespace = image.removesuffix(COMPRESSED_SUFFIX).rpartition("/")[0]
    return f"{namespace}/camera_info"


def _truth_topic(index: BagIndex, options: BagOptions) -> str:
    if options.truth_topic:
        _check(index, options.truth_topic, (types.OBJECT_POSE_ARRAY,), index.truths)
        return options.truth_topic
    # A pose node records the same type, but says which model its poses are from.
    names = [name for name, truths in index.truths.items() if not truths.models]
    if len(names) == 1:
        return names[0]
    if names:
        why = f"several topics of ground truth ({', '.join(sorted(names))})"
    elif index.truths:
        why = f"no ground truth: the poses on {', '.join(sorted(index.truths))} are a model's"
    else:
        why = "no ground truth in this bag"
    raise DatasetError(
        f"{index.name}: {why}; name a topic of type {types.OBJECT_POSE_ARRAY} with --truth-topic, "
        f"or give a BOP scene_gt.json with --truth; {_listing(index)}"
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
    raise DatasetError(f"{index.name}: {why}; {_listing(index)}")


def _listing(index: BagIndex) -> str:
    if not index.topics:
        return "it has no topics at all"
    topics = (f"{topic.name} ({topic.type}, {topic.count})" for topic in index.topics)
    return f"its topics: {', '.join(topics)}"
