"""What passes between the stages: camera, objects, fields, keypoints, poses.

Conventions, here and everywhere: metres, radians, pixels in (x, y) order with pixel (0, 0)'s
*centre* at (0.5, 0.5), camera optical frame (x right, y down, z forward).
``R_cam_obj`` and ``t_cam_obj`` map a point of the object into the camera frame:
``p_cam = R_cam_obj @ p_obj + t_cam_obj``.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from casapose_ros.errors import CameraError

NUM_KEYPOINTS = 9
"""Keypoints per object; keypoint 0 is the object's centre (paper section 3.1)."""

STRIDE = 8
"""Sides of the network's input are multiples of this."""

FOCAL_LENGTHS = (0.1, 100.0)
"""In image widths (fx) and heights (fy): lenses that see 157 and 0.6 degrees."""

MAX_SKEW = 0.1
"""Of fx; the pixels of real sensors are rectangles."""

DISTORTION_LENGTHS = {
    "none": (0,),
    "plumb_bob": (0, 4, 5),
    "rational_polynomial": (8, 12, 14),
    "equidistant": (4,),
}


@dataclass(frozen=True)
class CameraModel:
    """A calibrated camera.

    Attributes:
        K: (3, 3) float64 intrinsics in pixels. Its principal point uses OpenCV's convention
            (pixel centres at integers), as ROS and BOP calibrations do; see ``geometry``.
        width: Image width in pixels.
        height: Image height in pixels.
        distortion: (n,) float64 coefficients in OpenCV's order; empty for a rectified image.
        distortion_model: A key of ``DISTORTION_LENGTHS`` (the names of ``sensor_msgs/CameraInfo``).

    Raises:
        CameraError: No camera has such numbers.
    """

    K: np.ndarray
    width: int
    height: int
    distortion: np.ndarray = field(default_factory=lambda: np.zeros(0))
    distortion_model: str = "none"

    def __post_init__(self) -> None:
        K = np.asarray(self.K, dtype=np.float64)
        D = np.asarray(self.distortion, dtype=np.float64).reshape(-1)
        _check_intrinsics(K, self.width, self.height)
        if self.distortion_model not in DISTORTION_LENGTHS:
            raise CameraError(
                f"unknown distortion model {self.distortion_model!r}; "
                f"known: {', '.join(DISTORTION_LENGTHS)}"
            )
        if D.size not in DISTORTION_LENGTHS[self.distortion_model]:
            raise CameraError(
                f"{self.distortion_model} takes "
                f"{DISTORTION_LENGTHS[self.distortion_model]} coefficients, got {D.size}"
            )
        if not np.all(np.isfinite(D)):
            raise CameraError(f"distortion coefficients must be finite, got {D.tolist()}")
        object.__setattr__(self, "K", K)
        object.__setattr__(self, "distortion", D)

    @property
    def is_distorted(self) -> bool:
        """Whether pixels have to be undistorted before the pinhole model holds."""
        return bool(np.any(self.distortion != 0))


def _check_intrinsics(K: np.ndarray, width: int, height: int) -> None:
    """Refuse a K that is none: transposed, scaled, of another unit or of another image size."""
    if K.shape != (3, 3) or not np.all(np.isfinite(K)):
        raise CameraError(f"K must be a finite 3x3 matrix, got shape {K.shape}: {K.tolist()}")
    if K[0, 0] <= 0 or K[1, 1] <= 0:
        raise CameraError(
            f"focal lengths must be positive, got fx={K[0, 0]}, fy={K[1, 1]}; "
            "an uncalibrated camera publishes K = 0: calibrate it first"
        )
    if width <= 0 or height <= 0:
        raise CameraError(f"image size must be positive, got {width}x{height}")
    if not np.allclose(K[2], (0, 0, 1), rtol=0, atol=1e-6):
        raise CameraError(
            f"the last row of K must be 0, 0, 1, got {K[2].tolist()}; write K row by row as "
            "fx, skew, cx, 0, fy, cy, 0, 0, 1"
        )
    if K[1, 0] != 0 or abs(K[0, 1]) > MAX_SKEW * K[0, 0]:
        raise CameraError(
            f"K[0, 1] must be 0 or a small skew and K[1, 0] must be 0, got {K[0, 1]} and "
            f"{K[1, 0]}; write K row by row as fx, skew, cx, 0, fy, cy, 0, 0, 1"
        )
    for name, focal_length, side in (("fx", K[0, 0], width), ("fy", K[1, 1], height)):
        low, high = (limit * side for limit in FOCAL_LENGTHS)
        if not low <= focal_length <= high:
            raise CameraError(
                f"{name} = {focal_length:g} px is no focal length for {width}x{height} images, "
                f"expected {low:g} to {high:g}; give K in px, calibrated at this image size"
            )


@dataclass(frozen=True)
class Symmetries:
    """Rotations and translations that leave an object looking the same.

    Attributes:
        discrete: (S, 4, 4) float64 transforms object -> object in metres, identity not included.
        continuous: Tuple of (axis (3,), offset (3,)) rotation axes in metres.
    """

    discrete: np.ndarray = field(default_factory=lambda: np.zeros((0, 4, 4)))
    continuous: tuple[tuple[np.ndarray, np.ndarray], ...] = ()

    @property
    def any(self) -> bool:
        return len(self.discrete) > 0 or len(self.continuous) > 0


@dataclass(frozen=True)
class ObjectModel:
    """One known object.

    Attributes:
        name: Unique name; becomes a TF frame and a message field.
        class_id: Label in the network's segmentation, 1..K (0 is background).
        bop_id: Identifier in BOP folders (``obj_000007.ply`` -> 7).
        keypoints: (9, 3) float64 metres, object frame; keypoint 0 is the centre.
        diameter: Largest distance between two vertices, metres.
        box_min: (3,) float64 metres, corner of the axis-aligned box in the object frame.
        box_max: (3,) float64 metres, opposite corner.
        symmetries: See :class:`Symmetries`.
        T_reference_obj: (4, 4) float64, metres, where this is another scan of an object: from its
            frame to that of the scan it was aligned to, whose keypoints it shares. None otherwise.
    """

    name: str
    class_id: int
    bop_id: int
    keypoints: np.ndarray
    diameter: float
    box_min: np.ndarray
    box_max: np.ndarray
    symmetries: Symmetries = field(default_factory=Symmetries)
    T_reference_obj: np.ndarray | None = None


@dataclass(frozen=True)
class Fields:
    """What the network says about one image, at network resolution.

    Attributes:
        logits: (H, W, K+1) float32 segmentation logits, channel 0 is background.
        vectors: (H, W, 9, 2) float32 directions to the keypoints in the network's **(dy, dx)**
            order, not normalised. Everything else in the package is (x, y).
        confidence: (H, W, 9) float32 raw confidences (softplus is applied by the regression).
        labels: (H, W) uint8 argmax of the logits.
    """

    logits: np.ndarray
    vectors: np.ndarray
    confidence: np.ndarray
    labels: np.ndarray


@dataclass(frozen=True)
class Keypoints:
    """The 2D keypoints of one object instance.

    Attributes:
        class_id: Label 1..K.
        instance_id: 0 for the first instance of its class.
        points: (9, 2) float64 px, x then y, centre of pixel (0, 0) at (0.5, 0.5).
        covariances: (9, 2, 2) float64 px^2, x then y.
        valid: (9,) bool, False where the pixels do not determine the point.
        pixels: Number of mask pixels used.
        mask_probability: Mean softmax probability of the class over those pixels.
        box: (x_min, y_min, x_max, y_max) px of the mask, max exclusive.
    """

    class_id: int
    instance_id: int
    points: np.ndarray
    covariances: np.ndarray
    valid: np.ndarray
    pixels: int
    mask_probability: float
    box: tuple[float, float, float, float]


@dataclass(frozen=True)
class ObjectPose:
    """The pose of one object instance in the camera's optical frame.

    Attributes:
        name: The object's name.
        class_id: Label 1..K.
        instance_id: 0 for the first instance of its class.
        score: Confidence in [0, 1].
        R_cam_obj: (3, 3) float64 rotation, det = +1.
        t_cam_obj: (3,) float64 metres, z > 0.
        covariance: (6, 6) float64 in the order (x, y, z, rot x, rot y, rot z), metres and
            radians, about the camera's fixed axes as in ``geometry_msgs/PoseWithCovariance``.
        keypoints: (9, 2) float64 px of the original image, x then y, centre of pixel (0, 0) at
            (0.5, 0.5); NaN where the pixels do not determine a point.
        keypoint_covariances: (9, 2, 2) float64 px^2 of the original image; NaN likewise.
        box: (x_min, y_min, x_max, y_max) px of the original image.
        visible_pixels: Mask pixels, counted in the original image's resolution.
        reprojection_error: Root mean square over the keypoints that were used, px.
    """

    name: str
    class_id: int
    instance_id: int
    score: float
    R_cam_obj: np.ndarray
    t_cam_obj: np.ndarray
    covariance: np.ndarray
    keypoints: np.ndarray
    keypoint_covariances: np.ndarray
    box: tuple[float, float, float, float]
    visible_pixels: int
    reprojection_error: float


@dataclass(frozen=True)
class Estimate:
    """Everything that came out of one image.

    Attributes:
        objects: Poses found, best score first; an empty list where nothing was found.
        fields: The network's output, for pictures and inspection.
        times: Seconds per stage: ``preprocess``, ``network``, ``keypoints``, ``pnp``.
    """

    objects: list[ObjectPose]
    fields: Fields
    times: dict[str, float]
