"""``casapose predict``: poses, pictures and fields of image files."""

from __future__ import annotations

import argparse
import dataclasses
import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import cv2
import numpy as np

from casapose_ros.commands._measuring import add_model_settings, model_settings
from casapose_ros.errors import CameraError, ImageError
from casapose_ros.types import CameraModel, Estimate, Fields, ObjectModel, ObjectPose

if TYPE_CHECKING:
    from casapose_ros.estimator import PoseEstimator

NAME = "predict"
HELP = "estimate the poses of the objects in image files"

FORMAT_VERSION = 1
EXIT_SOME_FAILED = 1
PICTURED_KEYPOINT = 0


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's arguments."""
    parser.add_argument("images", nargs="+", type=Path, metavar="IMAGES", help="image files")
    parser.add_argument(
        "--model", required=True, type=Path, metavar="BUNDLE", help="folder of the model bundle"
    )
    parser.add_argument(
        "--camera",
        required=True,
        type=Path,
        help="calibration: YAML of ROS camera_calibration, or BOP camera.json",
    )
    parser.add_argument(
        "--out", required=True, type=Path, metavar="POSES.json", help="file to write"
    )
    parser.add_argument(
        "--pictures",
        type=Path,
        metavar="DIR",
        help="write pictures there: boxes and axes, masks, vector field, confidence",
    )
    parser.add_argument(
        "--fields",
        type=Path,
        metavar="DIR",
        help="write the network's logits, vectors (dy, dx) and confidence there, one .npz each",
    )
    add_model_settings(parser)


def run(args: argparse.Namespace) -> int:
    """Estimate image after image; a broken one is reported and counted, the others go on."""
    from casapose_ros.camera_file import load_camera
    from casapose_ros.estimator import PoseEstimator

    camera = load_camera(args.camera)
    estimator = PoseEstimator.load(args.model)
    if changes := model_settings(args):
        estimator = estimator.with_config(dataclasses.replace(estimator.config, **changes))
    for folder in (args.out.parent, args.pictures, args.fields):
        if folder is not None:
            folder.mkdir(parents=True, exist_ok=True)
    entries, failed = [], 0
    for path, name in zip(args.images, output_names(args.images), strict=True):
        try:
            image = read_image(path)
            estimate = estimator.run(image, camera)
        except (ImageError, CameraError) as error:
            failed += 1
            entries.append({"image": str(path), "error": str(error)})
            print(f"casapose predict: {path}: {error}", file=sys.stderr)
            continue
        entries.append(describe(path, estimate, estimator.objects))
        print(_summary(path, estimate))
        if args.pictures:
            write_pictures(args.pictures / name, image, estimate, estimator, camera)
        if args.fields:
            write_fields(args.fields / f"{name}.npz", estimate.fields)
    document = {"format": FORMAT_VERSION, "model": estimator.name, "images": entries}
    args.out.write_text(json.dumps(document, indent=1, allow_nan=False) + "\n")
    print(f"wrote {args.out}: {len(entries) - failed} images, {failed} failed")
    return EXIT_SOME_FAILED if failed else 0


def read_image(path: Path) -> np.ndarray:
    """Read an image file as (H, W, 3) uint8 RGB.

    Raises:
        ImageError: There is no such file, or it is no image that OpenCV can read.
    """
    try:
        data = np.fromfile(path, dtype=np.uint8)
    except OSError as error:
        raise ImageError(f"cannot be read: {error.strerror}") from error
    image = cv2.imdecode(data, cv2.IMREAD_COLOR) if data.size else None
    if image is None:
        raise ImageError(f"not an image: {data.size} bytes that OpenCV cannot decode")
    return cv2.cvtColor(image, cv2.COLOR_BGR2RGB)


def output_names(paths: Sequence[Path]) -> list[str]:
    """File names for each image's outputs: its own without suffix, numbered if that repeats."""
    stems = [path.stem for path in paths]
    if len(set(stems)) == len(stems):
        return stems
    return [f"{index:06d}_{stem}" for index, stem in enumerate(stems)]


def describe(path: Path, estimate: Estimate, objects: Sequence[ObjectModel]) -> dict[str, Any]:
    """One image's entry in the JSON file: metres, seconds, px (x, y) of the image.

    The centre of the image's first pixel is (0.5, 0.5); a keypoint that the image does not
    determine is null, null.
    """
    return {
        "image": str(path),
        "objects": [_describe_pose(pose, objects[pose.class_id - 1]) for pose in estimate.objects],
        "times": estimate.times,
    }


def write_pictures(
    stem: Path,
    image: np.ndarray,
    estimate: Estimate,
    estimator: PoseEstimator,
    camera: CameraModel,
) -> None:
    """Write ``<stem>_overlay.png``, ``_segmentation``, ``_vectors`` and ``_confidence``."""
    from casapose_ros import visualisation

    fields, poses = estimate.fields, estimate.objects
    pictures = {
        "overlay": visualisation.overlay(image, poses, estimator.objects, camera),
        "segmentation": visualisation.segmentation_picture(fields.labels),
        "vectors": visualisation.vector_field_picture(fields, PICTURED_KEYPOINT),
        "confidence": visualisation.confidence_picture(fields, PICTURED_KEYPOINT, poses, camera),
    }
    for kind, picture in pictures.items():
        _, data = cv2.imencode(".png", cv2.cvtColor(picture, cv2.COLOR_RGB2BGR))
        stem.with_name(f"{stem.name}_{kind}.png").write_bytes(data.tobytes())


def write_fields(path: Path, fields: Fields) -> None:
    """Write ``logits`` (H, W, K+1), ``vectors`` (H, W, 9, 2) as (dy, dx), ``confidence``."""
    np.savez(path, logits=fields.logits, vectors=fields.vectors, confidence=fields.confidence)


def _describe_pose(pose: ObjectPose, obj: ObjectModel) -> dict[str, Any]:
    return {
        "name": pose.name,
        "id": obj.bop_id,
        "class_id": pose.class_id,
        "instance_id": pose.instance_id,
        "score": pose.score,
        "R": pose.R_cam_obj.ravel().tolist(),
        "t": pose.t_cam_obj.tolist(),
        "covariance": pose.covariance.ravel().tolist(),
        "keypoints": _nullable(pose.keypoints),
        "keypoint_covariances": _nullable(pose.keypoint_covariances.reshape(-1, 4)),
        "box": list(pose.box),
        "visible_pixels": pose.visible_pixels,
        "reprojection_error": pose.reprojection_error,
    }


def _nullable(rows: np.ndarray) -> list[list[float | None]]:
    """JSON has no NaN."""
    return [[None if np.isnan(value) else value for value in row] for row in rows.tolist()]


def _summary(path: Path, estimate: Estimate) -> str:
    found = ", ".join(f"{pose.name} {pose.score:.2f}" for pose in estimate.objects)
    return f"{path.name}: {found or 'nothing found'} ({1000 * sum(estimate.times.values()):.0f} ms)"
