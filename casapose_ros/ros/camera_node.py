"""``camera_node``: a camera made of files, a webcam or a renderer.

Publishes ``image`` and ``camera_info``, and for the renderer ``~/ground_truth``: what the image of
the same stamp really shows. There, ``score`` is the visible fraction of an object.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from rclpy.node import Node
from rclpy.qos import QoSProfile
from rclpy.qos_overriding_options import QoSOverridingOptions
from sensor_msgs.msg import CameraInfo, Image
from std_msgs.msg import Header

from casapose_ros.camera_file import load_camera
from casapose_ros.errors import ConfigError, ImageError
from casapose_ros.msg import ObjectPoseArray
from casapose_ros.ros import conversions, messages
from casapose_ros.ros.parameters import check_fields, declare, parameter
from casapose_ros.ros.run import run_node
from casapose_ros.ros.sources import FolderSource, Picture, Source, VideoSource

SYNTHETIC = "synthetic"
# Reliable, so that listeners of either kind are served: RViz asks for reliable images.
IMAGE_QUEUE = QoSProfile(depth=2)


@dataclass(frozen=True)
class CameraParameters:
    """What is shown and how; fixed once the node has started."""

    source: str = parameter(
        SYNTHETIC,
        "synthetic, a folder of images, a video file, or a webcam as 0 or /dev/video0.",
        read_only=True,
    )
    rate: float = parameter(5.0, "Images per second.", low=0.01, high=1000.0, read_only=True)
    frame_id: str = parameter(
        "camera_optical_frame", "Frame of the images (x right, y down, z forward).", read_only=True
    )
    camera_file: str = parameter(
        "",
        "Calibration of files and webcams: YAML of camera_calibration or a BOP camera.json; "
        "without one camera_info says K = 0, not calibrated.",
        read_only=True,
    )
    loop: bool = parameter(True, "Whether files start anew at their end.", read_only=True)
    objects_path: str = parameter(
        "", "Folder of an object set to render; without one the demo objects.", read_only=True
    )
    scene_file: str = parameter(
        "", "Scenario to render, YAML; without one the defaults.", read_only=True
    )
    seed: int = parameter(0, "Seed of the rendered scene.", low=0, high=2**31 - 1, read_only=True)

    def __post_init__(self) -> None:
        check_fields(self)


class CameraNode(Node):
    """Publishes the pictures of a source at a fixed rate; shuts down at their end.

    Args:
        options: Passed on to :class:`rclpy.node.Node`.

    Raises:
        CasaposeError: The source, its calibration or its scenario cannot be used.
    """

    def __init__(self, **options) -> None:
        super().__init__("camera", **options)
        parameters = declare(self, CameraParameters())
        self._frame_id = parameters.frame_id
        self._source = open_source(parameters)
        qos = QoSOverridingOptions.with_default_policies()
        self._images = self.create_publisher(
            Image, "image", IMAGE_QUEUE, qos_overriding_options=qos
        )
        self._infos = self.create_publisher(CameraInfo, "camera_info", IMAGE_QUEUE)
        self._truths = self.create_publisher(ObjectPoseArray, "~/ground_truth", 10)
        self.create_timer(1 / parameters.rate, self._shoot)
        self.get_logger().info(f"{parameters.source} at {parameters.rate} images per second")

    def destroy_node(self) -> None:
        """Close the source and take the node down."""
        self._source.close()
        super().destroy_node()

    def _shoot(self) -> None:
        try:
            picture = self._source.read()
        except ImageError as error:
            self.get_logger().warning(str(error))
            return
        if picture is None:
            self.get_logger().info("no more images")
            self.context.try_shutdown()
            return
        self._publish(picture)

    def _publish(self, picture: Picture) -> None:
        header = Header(frame_id=self._frame_id, stamp=self.get_clock().now().to_msg())
        height, width = picture.image.shape[:2]
        # The truth and the calibration go first: who gets the image has them already.
        if picture.truth is not None:
            self._truths.publish(messages.object_pose_array(picture.truth, header))
        if self._source.camera is None:
            self._infos.publish(CameraInfo(header=header, width=width, height=height))
        else:
            self._infos.publish(conversions.info_from_camera(self._source.camera, header))
        self._images.publish(conversions.rgb_to_image(picture.image, header))


def open_source(parameters: CameraParameters) -> Source:
    """The source that the parameters ask for.

    Raises:
        CasaposeError: It cannot be used.
    """
    if parameters.source == SYNTHETIC:
        # Needs the renderer's packages, which a robot with a real camera can do without.
        from casapose_ros.ros.synthetic import SyntheticSource

        return SyntheticSource(
            parameters.objects_path, parameters.scene_file, parameters.rate, parameters.seed
        )
    camera = load_camera(parameters.camera_file) if parameters.camera_file else None
    path = Path(parameters.source)
    if path.is_dir():
        return FolderSource(path, camera, parameters.loop)
    if path.exists() or parameters.source.isdigit():
        return VideoSource(parameters.source, camera, parameters.loop)
    raise ConfigError(
        f"source {parameters.source!r} is no folder, file or device; give one, or {SYNTHETIC!r}"
    )


def main(args: list[str] | None = None) -> None:
    """Run the node until it is told to stop or the source ends."""
    run_node(CameraNode, args)


if __name__ == "__main__":
    main()
