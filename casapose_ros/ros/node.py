"""``casapose_node``: a camera's images in, the poses of known objects out.

The executor's thread receives, answers and reports; one worker thread decodes, estimates and
publishes. Between them waits at most one image, the newest.
"""

from __future__ import annotations

import time
import traceback
from collections.abc import Callable
from typing import TYPE_CHECKING

import numpy as np
from diagnostic_msgs.msg import DiagnosticArray
from rclpy.event_handler import SubscriptionEventCallbacks
from rclpy.node import Node
from rclpy.qos import QoSProfile, qos_policy_name_from_kind, qos_profile_sensor_data
from rclpy.qos_overriding_options import QoSOverridingOptions
from rclpy.subscription import Subscription
from rclpy.time import Time
from sensor_msgs.msg import CameraInfo, Image

from casapose_ros.errors import BundleError, CameraError, CasaposeError, ImageError
from casapose_ros.image_messages import RECTIFIED_TOPIC
from casapose_ros.ros import conversions, diagnostics
from casapose_ros.ros.model import LoadedModel, load_model
from casapose_ros.ros.node_parameters import ModelParameters, NodeParameters
from casapose_ros.ros.outputs import Frame, Outputs
from casapose_ros.ros.parameters import declare, read
from casapose_ros.ros.run import run_node
from casapose_ros.ros.stats import FrameStatistics, Throttle
from casapose_ros.ros.worker import LatestWorker
from casapose_ros.settings import EstimatorConfig
from casapose_ros.types import CameraModel

if TYPE_CHECKING:
    from casapose_ros.estimator import PoseEstimator

LOG_PERIOD = 5.0
"""The same complaint is logged once in so many seconds."""
REPORT_PERIOD = 1.0
"""Seconds between two diagnostic messages."""
SILENCE = 3.0
"""Seconds without an image after which the node says so."""


class CasaposeNode(Node):
    """See ``README.md`` for topics and parameters.

    Args:
        load: Loads the model of a bundle folder onto a device.
        options: Passed on to :class:`rclpy.node.Node`.

    Raises:
        ConfigError: A parameter was started with a bad value.
    """

    def __init__(self, load: Callable[[str, str], LoadedModel] = load_model, **options):
        super().__init__("casapose", **options)
        self._throttle = Throttle(LOG_PERIOD)
        self._camera_info: CameraInfo | None = None
        self._camera_facts = "no camera_info yet"
        self._qos_problems: dict[str, str] = {}
        self._model, self._model_problem = self._load(load)
        config = self._model.estimator.config if self._model else EstimatorConfig()
        declare(self, NodeParameters.with_estimator(config), self._check_parameters)
        self._stats = FrameStatistics()
        self._outputs = Outputs(self)
        self._diagnostics = self.create_publisher(DiagnosticArray, "/diagnostics", 10)
        self._worker = LatestWorker(self._process, self._on_crash)
        self._info = self._subscribe(CameraInfo, "camera_info", self._on_camera_info)
        self._image = self._subscribe(
            Image, "image", self._on_image, message_lost=self._on_images_lost
        )
        self.create_timer(REPORT_PERIOD, self._report)
        # Last: a node that is told to stop while it is being made leaves no thread behind.
        self._worker.start()

    def destroy_node(self) -> None:
        """Let the running estimation finish, then take the node down."""
        self._worker.close()
        super().destroy_node()

    # In the executor's thread.

    def _load(self, load: Callable[[str, str], LoadedModel]) -> tuple[LoadedModel | None, str]:
        """The model, or why there is none: a node that says so helps more than no node."""
        parameters = declare(self, ModelParameters())
        self.get_logger().info(f"loading the model {parameters.model_path!r}")
        try:
            model = load(parameters.model_path, parameters.device)
        except CasaposeError as error:
            problem = f"no model: {error}"
            self.get_logger().error(problem)
            return None, problem
        names = ", ".join(model.objects)
        self.get_logger().info(f"{model.estimator.name!r} on {model.device} knows {names}")
        return model, ""

    def _check_parameters(self, parameters: NodeParameters) -> None:
        """Refuse what the model cannot do, such as an object that it does not know."""
        if self._model:
            self._configured(parameters)

    def _subscribe(
        self, message_type: type, topic: str, callback: Callable, **events: Callable
    ) -> Subscription:
        """Subscribe as to sensor data, of which only the newest counts."""
        # A profile of its own: overrides are written into it.
        profile = QoSProfile(
            depth=1,
            history=qos_profile_sensor_data.history,
            reliability=qos_profile_sensor_data.reliability,
            durability=qos_profile_sensor_data.durability,
        )
        return self.create_subscription(
            message_type,
            topic,
            callback,
            profile,
            event_callbacks=SubscriptionEventCallbacks(
                incompatible_qos=lambda event: self._on_incompatible_qos(topic, event), **events
            ),
            qos_overriding_options=QoSOverridingOptions.with_default_policies(),
        )

    def _on_image(self, message: Image) -> None:
        self._stats.received(replaced=self._worker.put(message))

    def _on_images_lost(self, event) -> None:
        self._stats.lost(event.total_count_change)

    def _on_camera_info(self, message: CameraInfo) -> None:
        self._camera_info = message

    def _on_incompatible_qos(self, topic: str, event) -> None:
        name = self.resolve_topic_name(topic)
        policy = qos_policy_name_from_kind(event.last_policy_kind).lower()
        self._qos_problems[topic] = (
            f"a publisher of {name} offers another {policy} than this node asks for; change the "
            f"parameter qos_overrides.{name}.subscription.{policy}"
        )
        self._warn(self._qos_problems[topic])

    def _report(self) -> None:
        summary = self._stats.summary()
        problem = self._model_problem or summary.problem
        if not self._model_problem and summary.silence > SILENCE:
            problem = self._why_no_image(summary.lost)
            self._warn(problem)
        facts = {"camera": self._camera_facts}
        if self._model:
            facts |= {"model": self._model.estimator.name, "device": self._model.device}
        status = diagnostics.status(
            f"{self.get_fully_qualified_name()}: pose estimation",
            summary,
            problem,
            facts,
            fatal=bool(self._model_problem),
        )
        message = DiagnosticArray(status=[status])
        message.header.stamp = self.get_clock().now().to_msg()
        self._diagnostics.publish(message)

    def _why_no_image(self, lost: int) -> str:
        topic = self._image.topic_name
        count = self.count_publishers(topic)
        if not count:
            return f"no image: nobody publishes {topic}; remap 'image' to your camera's topic"
        reason = self._qos_problems.get("image", "they are silent")
        if lost:
            # Best effort, which cameras use, loses a whole image with any part of it.
            reason = (
                f"{lost} were lost on the way; if the publisher allows it, set the parameter "
                f"qos_overrides.{topic}.subscription.reliability to reliable"
            )
        return f"no image: {count} publishers on {topic}, but nothing arrives: {reason}"

    # In the worker's thread.

    def _process(self, message: Image) -> None:
        """One image, from message to messages."""
        parameters = read(self, NodeParameters)
        times = [time.perf_counter()]
        try:
            estimator = self._configured(parameters)
            self._check_age(message, parameters.max_image_age)
            image = conversions.image_to_rgb(message)
            camera = self._camera(image, parameters.rectified)
            times.append(time.perf_counter())
            estimate = estimator.run(image, camera)
        except CasaposeError as error:
            self._reject(str(error))
            return
        times.append(time.perf_counter())
        frame = Frame(message.header, image, camera, estimate)
        self._outputs.publish(frame, self._model, parameters)
        times.append(time.perf_counter())
        decode, _, publish = np.diff(times).tolist()
        stages = {"decode": decode, **estimate.times, "publish": publish}
        self._stats.published(stages, self._age(message))

    def _configured(self, parameters: NodeParameters) -> PoseEstimator:
        """The estimator with the present parameters."""
        if self._model is None:
            raise BundleError(self._model_problem)
        estimator = self._model.estimator
        return estimator.with_config(parameters.estimator(estimator.config))

    def _age(self, message: Image) -> float:
        """Seconds from the image's stamp to now, by the node's clock."""
        return (self.get_clock().now() - Time.from_msg(message.header.stamp)).nanoseconds / 1e9

    def _check_age(self, message: Image, max_age: float) -> None:
        age = self._age(message)
        if max_age and abs(age) > max_age:
            raise ImageError(
                f"the image's stamp is {age:.2f} s old, beyond max_image_age ({max_age} s): set "
                "the clocks, use_sim_time for a recording, or max_image_age to 0"
            )

    def _camera(self, image: np.ndarray, rectified: str) -> CameraModel:
        if self._camera_info is None:
            remedy = self._qos_problems.get("camera_info", "remap it to your camera's topic")
            raise CameraError(f"no camera_info on {self._info.topic_name} yet: {remedy}")
        if rectified == "auto":
            is_rectified = RECTIFIED_TOPIC.search(self._image.topic_name) is not None
        else:
            is_rectified = rectified == "true"
        camera = conversions.camera_from_info(self._camera_info, is_rectified)
        conversions.check_size(camera, image)
        kind = "rectified: P counts, D does not" if is_rectified else camera.distortion_model
        self._camera_facts = f"{camera.width}x{camera.height}, {kind}"
        return camera

    def _reject(self, cause: str) -> None:
        self._stats.rejected(cause)
        self._warn(f"dropped an image: {cause}")

    def _on_crash(self, error: Exception) -> None:
        """Report what no check foresaw, for example a GPU without memory, and go on."""
        if not self.context.ok():
            return  # Shut down while the result was on its way out.
        self._stats.rejected(f"{type(error).__name__}: {error}")
        if self._throttle.admits(str(error)):
            self.get_logger().error("".join(traceback.format_exception(error)))

    def _warn(self, message: str) -> None:
        if self._throttle.admits(message):
            self.get_logger().warning(message)


def main(args: list[str] | None = None) -> None:
    """Run the node until it is told to stop."""
    run_node(CasaposeNode, args)


if __name__ == "__main__":
    main()
