"""One replay, from the first question to the last answer."""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from sensor_msgs.msg import CameraInfo, Image

from casapose_ros.evaluation.answers import Answer, AnswerLog
from casapose_ros.evaluation.delivery import Drops, SentImage
from casapose_ros.ros.arrivals import Arrival
from casapose_ros.ros.child import NodeError
from casapose_ros.ros.diagnostics import Counters
from casapose_ros.ros.replay_node import ReplayNode
from casapose_ros.ros.replay_schedule import Schedule

FIRST_ANSWER = 180.0
"""Seconds that the node gets to load its model and answer for the first time."""
ASK_AGAIN = 2.0
"""Seconds after which an image without an answer is sent once more, before the replay starts."""
SILENCE = 30.0
"""Seconds without any answer, while images are sent, after which the node is given up."""
LAST_ANSWER = 2.0
"""Seconds in which the last answer comes; three times the longest one took if that is more."""
COUNTERS = 5.0
"""Seconds in which the node, which reports once a second, has reported."""


@dataclass(frozen=True)
class RecordedImage:
    """An image of a recording.

    Attributes:
        message: What is published; its stamp is set then.
        stamp: Its stamp in the recording, nanoseconds.
        time: When it was recorded, nanoseconds; the replay keeps these times.
        delay: How old it was then, nanoseconds.
    """

    message: Image
    stamp: int
    time: int
    delay: int


class Replay:
    """Sends a recording to a running node and keeps what comes back.

    Args:
        node: Talks to ROS.
        listen: Lets ``node`` hear what has come, for at most so many seconds; raises
            :class:`CasaposeError` where there is nothing to wait for any more.
        log: Keeps the answers.
        speed: How much faster than recorded.
        clock: Seconds on a clock that never jumps.
    """

    def __init__(
        self,
        node: ReplayNode,
        listen: Callable[[float], None],
        log: AnswerLog,
        speed: float,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._node = node
        self._listen = listen
        self._log = log
        self._clock = clock
        self._schedule = Schedule(speed)
        self._sent: dict[int, tuple[int, SentImage]] = {}  # by stamp, with the time of sending
        self._arrived: set[int] = set()
        self._waiting_since: float | None = None
        self._longest = 0.0  # Seconds that an answer took, once the network was compiled.
        self._before: Counters | None = None
        self._arrived_before = 0
        self.warm_up = 0.0
        """Seconds until the first answer."""
        node.on_arrival = self._on_arrival

    def prepare(self, info: CameraInfo, image: RecordedImage) -> None:
        """Wait for the node's first answers, which take long because the network is compiled.

        Raises:
            NodeError: The node does not answer.
        """
        start = self._clock()
        deadline = start + FIRST_ANSWER
        self._wait(deadline, lambda: self._node.connected)
        self._ask(info, image, deadline)
        self.warm_up = self._clock() - start
        # Once more: what was sent while the network compiled has been answered then.
        asked = self._clock()
        self._ask(info, image, deadline)
        self._longest = self._clock() - asked
        self._before = self._count()
        self._arrived_before = len(self._arrived)

    def play(self, recording: Iterator[RecordedImage | CameraInfo]) -> Iterator[SentImage]:
        """Send everything when it is due, then wait for the last answer.

        Yields:
            Each image as soon as it has been sent.

        Raises:
            NodeError: The node fell silent.
        """
        start = None
        for item in recording:
            if isinstance(item, CameraInfo):
                self._node.send_info(item)
                continue
            due = self._schedule.due(item.time)
            if start is None:
                start = self._clock()
            self._wait(start + due)
            yield self._send(item, start, due)
        patience = max(LAST_ANSWER, 3 * self._longest)
        # The newest image wins: after the last one's answer comes no other.
        last = max(self._sent, default=0)
        self._wait(self._clock() + patience, lambda: last in self._arrived)

    @property
    def images(self) -> tuple[SentImage, ...]:
        """What was sent so far, in this order."""
        return tuple(image for _, image in self._sent.values())

    @property
    def bridged(self) -> int:
        """Steps of the recording's clock that were not waited for."""
        return self._schedule.bridged

    def drops(self) -> Drops:
        """Why there are images without an answer, by what the node has counted."""
        images = self.images
        after = self._count() if self._before is not None else None
        unanswered = sum(image.latency is None for image in images)
        if after is None:
            return Drops(unknown=unanswered)
        arrived = len(self._arrived) - self._arrived_before
        return explain_drops(self._before, after, len(images), arrived, unanswered)

    def _ask(self, info: CameraInfo, image: RecordedImage, deadline: float) -> None:
        asked = set()
        while not asked & self._arrived:
            if self._clock() >= deadline:
                raise NodeError(
                    f"no answer from the node in {FIRST_ANSWER:.0f} s: {self._node.condition}"
                )
            self._node.send_info(info)
            asked.add(self._node.send_image(image.message, image.delay)[0])
            until = min(deadline, self._clock() + ASK_AGAIN)
            self._wait(until, lambda: bool(asked & self._arrived))

    def _send(self, item: RecordedImage, start: float, due: float) -> SentImage:
        seconds = self._clock() - start
        stamp, published = self._node.send_image(item.message, item.delay)
        image = SentImage(item.stamp, seconds, late=max(0.0, seconds - due))
        self._sent[stamp] = published, image
        if self._waiting_since is None:
            self._waiting_since = self._clock()
        return image

    def _on_arrival(self, arrival: Arrival) -> None:
        self._waiting_since = None
        self._arrived.add(arrival.stamp)
        if arrival.stamp not in self._sent:
            return  # From before the replay.
        published, image = self._sent[arrival.stamp]
        latency = (arrival.arrived - published) / 1e9
        self._longest = max(self._longest, latency)
        age = (arrival.published - arrival.stamp) / 1e9
        answered = dataclasses.replace(image, latency=latency, age=age)
        self._sent[arrival.stamp] = published, answered
        self._log.append(Answer(image.stamp, arrival.poses, arrival.estimation, latency))

    def _count(self) -> Counters | None:
        """What the node has counted, now or later; None if it does not say."""
        now = self._node.now()
        self._wait(self._clock() + COUNTERS, lambda: self._node.counted > now)
        return self._node.counters if self._node.counted > now else None

    def _wait(self, until: float, done: Callable[[], bool] = lambda: False) -> None:
        """Listen until a time of the clock, or until something is done."""
        while not done() and (left := until - self._clock()) > 0:
            self._listen(left)
            if self._node.fatal:
                raise NodeError(self._node.condition)
            waited = 0.0 if self._waiting_since is None else self._clock() - self._waiting_since
            if waited > SILENCE:
                raise NodeError(f"no answer for {SILENCE:.0f} s: {self._node.condition}")


def explain_drops(
    before: Counters, after: Counters, sent: int, arrived: int, unanswered: int
) -> Drops:
    """What became of the images without an answer.

    Args:
        before: What the node had counted when the first image was sent.
        after: What it has counted at the end.
        sent: Images that were published.
        arrived: Answers that came in the meantime.
        unanswered: Images without one.
    """
    known = {
        "busy": after.replaced - before.replaced,
        "rejected": after.rejected - before.rejected,
        "lost": max(0, sent - (after.received - before.received)),
        "answers_lost": max(0, after.published - before.published - arrived),
    }
    return Drops(**known, unknown=max(0, unanswered - sum(known.values())))
