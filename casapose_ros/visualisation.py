"""Pictures of what the network says and what was found (supplement Figs. 1, 4 and 5).

Arrays in, arrays out: every function returns a new (H, W, 3) uint8 RGB picture. Pictures of fields
have the fields' size, which covers the whole camera image whatever its resolution.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence

import cv2
import numpy as np

from casapose_ros import geometry
from casapose_ros.keypoints.components import find_regions
from casapose_ros.types import CameraModel, Fields, ObjectModel, ObjectPose

AXIS_COLOURS = ((255, 0, 0), (0, 255, 0), (0, 96, 255))
WHITE, BLACK = (255, 255, 255), (0, 0, 0)
GOLDEN_RATIO = 0.618034

SUBPIXEL_BITS = 4
MAX_COORDINATE = 1e5
"""px; what lies further off is not drawn, OpenCV's integers could not hold it."""

SHOWN_PERCENTILES = (2, 98)
"""Of a mask's confidences; without this a single pixel would darken all the others."""

BOX_EDGES = [(a, b) for a, b in itertools.combinations(range(8), 2) if bin(a ^ b).count("1") == 1]


def class_colour(class_id: int) -> tuple[int, int, int]:
    """The RGB colour of a class, well apart for neighbouring ids; background is black."""
    if class_id == 0:
        return BLACK
    hue = np.uint8(255 * ((0.08 + class_id * GOLDEN_RATIO) % 1))
    hsv = np.array([[[hue, 190 if class_id % 2 else 235, 255]]], dtype=np.uint8)
    red, green, blue = cv2.cvtColor(hsv, cv2.COLOR_HSV2RGB_FULL)[0, 0].tolist()
    return red, green, blue


def overlay(
    image: np.ndarray,
    poses: Sequence[ObjectPose],
    objects: Sequence[ObjectModel],
    camera: CameraModel,
) -> np.ndarray:
    """Draw each object's box, axes, keypoints, name and score on the camera's image.

    Args:
        image: (H, W, 3) uint8 RGB.
        poses: What was found in it.
        objects: The known objects, class ids 1..K in order.
        camera: The camera that took the image.
    """
    picture = np.ascontiguousarray(image).copy()
    thickness = max(1, round(image.shape[1] / 400))
    for pose in sorted(poses, key=lambda pose: -pose.t_cam_obj[2]):  # near ones over far ones
        obj = objects[pose.class_id - 1]
        colour = class_colour(pose.class_id)
        corners = np.array(list(itertools.product(*zip(obj.box_min, obj.box_max, strict=True))))
        for a, b in BOX_EDGES:
            _draw_segment(picture, corners[[a, b]], pose, camera, colour, thickness)
        for axis, axis_colour in zip(np.eye(3), AXIS_COLOURS, strict=True):
            ends = np.stack([np.zeros(3), 0.5 * obj.diameter * axis])
            _draw_segment(picture, ends, pose, camera, axis_colour, thickness)
        for point in pose.keypoints:
            _draw_circle(picture, point, 2 * thickness, colour, filled=True)
    for pose in poses:
        _write(picture, f"{pose.name} {pose.score:.2f}", pose.box[:2], thickness)
    return picture


def segmentation_picture(labels: np.ndarray) -> np.ndarray:
    """The (H, W) uint8 label map, each class in its colour."""
    palette = np.array([class_colour(i) for i in range(int(labels.max(initial=0)) + 1)], np.uint8)
    return palette[labels]


def vector_field_picture(fields: Fields, keypoint: int, legend: bool = True) -> np.ndarray:
    """The direction to one keypoint as hue, black outside the masks (supplement Fig. 4).

    Args:
        fields: The network's output.
        keypoint: Which of the keypoints, 0..8.
        legend: Draw the wheel of colours in the corner: red points right, going on clockwise.
    """
    dy, dx = np.moveaxis(fields.vectors[:, :, keypoint], -1, 0)
    picture = _direction_colours(dx, dy)
    picture[fields.labels == 0] = 0
    radius = min(picture.shape[:2]) // 12
    if legend and radius > 0:
        y, x = np.mgrid[-radius : radius + 1, -radius : radius + 1].astype(np.float32)
        inside = x**2 + y**2 <= radius**2
        corner = picture[-2 * radius - 1 :, -2 * radius - 1 :]
        corner[inside] = _direction_colours(x, y)[inside]
    return picture


def confidence_picture(
    fields: Fields, keypoint: int, poses: Sequence[ObjectPose], camera: CameraModel
) -> np.ndarray:
    """The confidence of one keypoint's vectors, and where the keypoint is (supplement Fig. 5).

    Inside each mask softplus(confidence) runs from dark (its least) to bright (its most); outside
    it is black. The estimated location is circled.

    Args:
        fields: The network's output.
        keypoint: Which of the keypoints, 0..8.
        poses: What was found.
        camera: The camera that took the image, for the scale of the poses' keypoints.
    """
    regions = find_regions(fields.labels, "all")
    weights = np.logaddexp(0, np.nan_to_num(regions.gather(fields.confidence[:, :, keypoint])))
    picture = np.zeros((*fields.labels.shape, 3), dtype=np.uint8)
    for pixels in regions.slices():
        low, high = np.percentile(weights[pixels], SHOWN_PERCENTILES)
        shown = np.clip((weights[pixels] - low) / max(high - low, 1e-12), 0, 1)
        # The darkest colours are kept free, so that the least confident pixel is not background.
        colours = cv2.applyColorMap((40 + 215 * shown).astype(np.uint8), cv2.COLORMAP_INFERNO)
        picture[regions.rows[pixels], regions.cols[pixels]] = colours[:, 0, ::-1]
    height, width = fields.labels.shape
    scale = (width / camera.width, height / camera.height)
    for pose in poses:
        point, radius = pose.keypoints[keypoint] * scale, max(3, width // 64)
        _draw_circle(picture, point, radius, BLACK, thickness=4)
        _draw_circle(picture, point, radius, WHITE, thickness=2)
    return picture


def _direction_colours(dx: np.ndarray, dy: np.ndarray) -> np.ndarray:
    angle = np.nan_to_num(np.arctan2(dy, dx)) % (2 * np.pi)
    hsv = np.full((*dx.shape, 3), 255, dtype=np.uint8)
    hsv[..., 0] = angle * (255 / (2 * np.pi))
    return cv2.cvtColor(hsv, cv2.COLOR_HSV2RGB_FULL)


def _draw_segment(
    picture: np.ndarray,
    ends: np.ndarray,
    pose: ObjectPose,
    camera: CameraModel,
    colour: tuple[int, int, int],
    thickness: int,
) -> None:
    """Draw a line between (2, 3) object points; lenses bend it, so it goes in short pieces."""
    pieces = 8 if camera.is_distorted else 1
    points = np.linspace(*ends, pieces + 1)
    if np.any(geometry.transform(pose.R_cam_obj, pose.t_cam_obj, points)[:, 2] <= 0):
        return
    pixels = geometry.project(points, pose.R_cam_obj, pose.t_cam_obj, camera)
    for a, b in itertools.pairwise(pixels):
        if _drawable(a) and _drawable(b):
            cv2.line(picture, _fixed(a), _fixed(b), colour, thickness, cv2.LINE_AA, SUBPIXEL_BITS)


def _draw_circle(
    picture: np.ndarray,
    point: np.ndarray,
    radius: int,
    colour: tuple[int, int, int],
    thickness: int = 1,
    filled: bool = False,
) -> None:
    if _drawable(point):
        fixed_radius = radius << SUBPIXEL_BITS
        width = cv2.FILLED if filled else thickness
        cv2.circle(picture, _fixed(point), fixed_radius, colour, width, cv2.LINE_AA, SUBPIXEL_BITS)


def _write(picture: np.ndarray, text: str, position: Sequence[float], thickness: int) -> None:
    """Write white on black outlines with the lower left corner there, pushed into the picture."""
    font, scale = cv2.FONT_HERSHEY_SIMPLEX, 0.3 * thickness
    (width, height), _ = cv2.getTextSize(text, font, scale, thickness)
    x = int(np.clip(position[0], 0, max(0, picture.shape[1] - width)))
    y = int(np.clip(position[1] - 4, height + 2, picture.shape[0]))
    cv2.putText(picture, text, (x, y), font, scale, BLACK, 3 * thickness, cv2.LINE_AA)
    cv2.putText(picture, text, (x, y), font, scale, WHITE, thickness, cv2.LINE_AA)


def _drawable(point: np.ndarray) -> bool:
    return bool(np.all(np.abs(point) < MAX_COORDINATE))  # False for NaN


def _fixed(point: np.ndarray) -> tuple[int, int]:
    """OpenCV's fixed-point pixel, whose centres are at integers."""
    x, y = np.round((point - geometry.PIXEL_CENTRE) * (1 << SUBPIXEL_BITS)).astype(int).tolist()
    return x, y
