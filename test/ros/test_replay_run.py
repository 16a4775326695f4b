"""A replay against a simulated robot, whose clock stands still unless somebody listens."""

import dataclasses

import pytest
from ros_fakes import CUP, make_pose
from sensor_msgs.msg import CameraInfo, Image

from casapose_ros.evaluation.answers import AnswerLog, read_answers
from casapose_ros.evaluation.delivery import Drops
from casapose_ros.ros import replay_run
from casapose_ros.ros.arrivals import Arrival
from casapose_ros.ros.child import NodeError
from casapose_ros.ros.diagnostics import Counters
from casapose_ros.ros.replay_run import RecordedImage, Replay

SECOND = 10**9
BAG_START = 5 * SECOND
WALL = 1_700_000_000 * SECOND


class SimulatedRobot:
    """A node that works on one image at a time and keeps the newest of the others."""

    def __init__(self, work=0.1, starts=3.0, overshoot=0.0):
        self.time, self.work, self.starts, self.overshoot = 100.0, work, starts, overshoot
        self.on_arrival = None
        self.condition, self.fatal = "all is well", False
        self.counters, self.counted = None, 0
        self.counts = dict.fromkeys(("received", "published", "lost", "replaced", "rejected"), 0)
        self.busy = self.waiting = None
        self.infos = 0
        self.sent = []  # times of all images
        self.fate = lambda number: "fine"  # or lost, rejected, answer lost, from a number on
        self.next_report = self.time

    def clock(self):
        return self.time

    def now(self):
        return WALL + round(self.time * SECOND)

    @property
    def connected(self):
        return self.time >= 100.0 + self.starts

    def send_info(self, info):
        self.infos += 1

    def send_image(self, message, delay):
        stamp, number = self.now() - delay, len(self.sent)
        self.sent.append(self.time)
        fate = self.fate(number)
        if fate != "lost":
            self.counts["received"] += 1
            if fate == "rejected":
                self.counts["rejected"] += 1
            elif self.busy is None:
                self.busy = self.time + self.work, stamp, fate
            else:
                self.counts["replaced"] += self.waiting is not None
                self.waiting = stamp, fate
        return stamp, self.now()

    def listen(self, seconds):
        """Let time go on until something happens."""
        until = self.time + seconds + self.overshoot
        events = [until, self.next_report, *([self.busy[0]] if self.busy else [])]
        self.time = max(self.time, min(events))
        if self.time >= self.next_report:
            self.counters, self.counted = Counters(**self.counts), self.now()
            self.next_report += 1.0
        if self.busy and self.time >= self.busy[0]:
            _, stamp, fate = self.busy
            self.busy = None
            self.counts["published"] += 1
            if fate != "answer lost":
                pose = make_pose(CUP)
                self.on_arrival(Arrival(stamp, (pose,), 0.06, self.now(), self.now() + 10**6))
            if self.waiting:
                self.busy, self.waiting = (self.time + self.work, *self.waiting), None


def image(number, rate=5.0, delay=0.02):
    time = BAG_START + round(number * SECOND / rate)
    delay = round(delay * SECOND)
    return RecordedImage(Image(), time - delay, time, delay)


@pytest.fixture
def replay(tmp_path):
    with AnswerLog(tmp_path / "answers.jsonl") as log:

        def make(robot, speed=1.0):
            return Replay(robot, robot.listen, log, speed, robot.clock)

        yield make


def play(replay, count, **of_image):
    replay.prepare(CameraInfo(), image(0, **of_image))
    list(replay.play(image(i, **of_image) for i in range(count)))


def warm_up_images(robot, images):
    return len(robot.sent) - len(images)


def test_every_image_of_a_slow_camera_is_answered(replay, tmp_path):
    robot = SimulatedRobot(work=0.1)
    run = replay(robot)
    play(run, 60)
    images = run.images
    assert [i.stamp for i in images] == [image(n).stamp for n in range(60)]
    assert [i.sent for i in images] == pytest.approx([n / 5 for n in range(60)])
    assert [i.latency for i in images] == pytest.approx([0.101] * 60)
    assert [i.age for i in images] == pytest.approx([0.12] * 60)
    assert run.drops() == Drops()
    answers = read_answers(tmp_path / "answers.jsonl")
    assert list(answers) == [i.stamp for i in images]
    assert answers[images[3].stamp].estimation == 0.06
    assert answers[images[3].stamp].poses[0].name == "cup"


def test_images_are_due_at_fixed_times_however_late_the_ones_before(replay):
    robot = SimulatedRobot(work=0.01, overshoot=0.004)
    run = replay(robot)
    play(run, 3000, rate=30.0)
    for number, sent in enumerate(run.images):
        assert number / 30 - 1e-6 <= sent.sent <= number / 30 + 0.005
        assert sent.late == pytest.approx(sent.sent - number / 30, abs=1e-6)


def test_the_first_answers_are_waited_for_and_do_not_count(replay):
    robot = SimulatedRobot(work=0.1, starts=20.0)
    run = replay(robot)
    play(run, 5)
    assert run.warm_up == pytest.approx(20.1, abs=0.01)
    assert warm_up_images(robot, run.images) == 2
    assert len(run.images) == 5 and run.drops() == Drops()


def test_a_busy_node_drops_what_it_cannot_do(replay):
    robot = SimulatedRobot(work=0.5)
    run = replay(robot)
    play(run, 50)  # one every 0.2 s
    answered = sum(i.latency is not None for i in run.images)
    assert answered == 21  # 50 images last 10 s, in which 20 are done, and the last one
    assert run.drops() == Drops(busy=29)


def test_every_lost_image_has_its_cause(replay):
    robot = SimulatedRobot(work=0.1)
    run = replay(robot)
    run.prepare(CameraInfo(), image(0))
    first = len(robot.sent)
    fates = {3: "lost", 4: "lost", 5: "lost", 10: "rejected", 11: "rejected", 20: "answer lost"}
    robot.fate = lambda number: fates.get(number - first, "fine")
    list(run.play(image(i) for i in range(30)))
    assert [n for n, i in enumerate(run.images) if i.latency is None] == list(fates)
    assert run.drops() == Drops(lost=3, rejected=2, answers_lost=1)


def test_without_a_report_of_the_node_causes_are_unknown(replay):
    robot = SimulatedRobot(work=0.5)
    run = replay(robot)
    run.prepare(CameraInfo(), image(0))
    robot.next_report = float("inf")
    list(run.play(image(i) for i in range(50)))
    assert run.drops() == Drops(unknown=29)


def test_calibrations_are_sent_where_they_stand(replay):
    robot = SimulatedRobot()
    run = replay(robot)
    run.prepare(CameraInfo(), image(0))
    before = robot.infos
    list(run.play(item for i in range(4) for item in (CameraInfo(), image(i))))
    assert robot.infos == before + 4


def test_speed_shortens_the_replay(replay):
    robot = SimulatedRobot(work=0.01)
    run = replay(robot, speed=4.0)
    play(run, 41)
    assert run.images[-1].sent == pytest.approx(2.0)


def test_a_jump_of_the_clock_is_not_waited_for(replay):
    robot = SimulatedRobot(work=0.01)
    run = replay(robot)
    run.prepare(CameraInfo(), image(0))
    start = robot.time
    numbers = [0, 1, 2, 3, 18_000, 18_001, 4, 5]
    list(run.play(image(n) for n in numbers))
    assert robot.time - start < 10
    assert [i.sent for i in run.images] == pytest.approx([0.2 * n for n in range(8)])
    assert run.bridged == 2


def test_a_node_that_never_answers_is_given_up(replay):
    robot = SimulatedRobot()
    robot.fate = lambda number: "rejected"
    robot.condition = "no camera_info on /camera_info yet"
    with pytest.raises(NodeError, match="no answer from the node in 180 s: no camera_info on"):
        replay(robot).prepare(CameraInfo(), image(0))
    assert robot.time - 100 == pytest.approx(replay_run.FIRST_ANSWER, abs=1)


def test_a_node_without_a_model_is_given_up_at_once(replay):
    robot = SimulatedRobot(starts=1000.0)
    robot.condition, robot.fatal = "no model: /nowhere is no model bundle", True
    with pytest.raises(NodeError, match="no model: /nowhere"):
        replay(robot).prepare(CameraInfo(), image(0))
    assert robot.time < 102


def test_a_node_that_falls_silent_is_given_up(replay):
    robot = SimulatedRobot()
    run = replay(robot)
    run.prepare(CameraInfo(), image(0))
    first = len(robot.sent)
    robot.fate = lambda number: "fine" if number < first + 10 else "lost"
    with pytest.raises(NodeError, match="no answer for 30 s: all is well"):
        list(run.play(image(i) for i in range(1000)))
    assert sum(i.latency is not None for i in run.images) == 10
    assert 155 < len(run.images) < 165  # ten answers, then 30 s


def test_a_recording_may_pause_longer_than_a_node_may_be_silent(replay):
    robot = SimulatedRobot()
    run = replay(robot, speed=0.1)
    play(run, 4, rate=0.25)  # 4 s apart, 40 s in the replay
    assert run.drops() == Drops() and run.images[-1].sent == pytest.approx(120)


def test_drops_are_what_was_counted_during_the_replay():
    before = Counters(received=7, published=2, lost=40, replaced=3, rejected=1)
    after = Counters(received=57, published=32, lost=50, replaced=19, rejected=5)
    # 60 sent, 50 received: 30 published, 16 replaced, 4 rejected; one answer did not arrive.
    drops = replay_run.explain_drops(before, after, sent=60, arrived=29, unanswered=31)
    assert drops == Drops(busy=16, rejected=4, lost=10, answers_lost=1)
    # Two images were still with the node when it was asked.
    after = dataclasses.replace(after, published=30)
    drops = replay_run.explain_drops(before, after, sent=60, arrived=28, unanswered=32)
    assert drops == Drops(busy=16, rejected=4, lost=10, unknown=2)
    # An answer to what was sent before the replay came during it: nothing is below 0.
    drops = replay_run.explain_drops(before, after, sent=49, arrived=29, unanswered=20)
    assert drops == Drops(busy=16, rejected=4)
