"""What a network's errors in its masks cost its keypoints.

    python benchmarks/mask_errors.py --model BUNDLE --data BOPDIR --split val
    python benchmarks/mask_errors.py --model BUNDLE --data BOPDIR --split test --objects OBJECTS

A mask is used twice: decoder 2 is guided by it, and its pixels speak for the object's keypoints.
Every image is taken through the network with its own masks and with the true ones in either place.
The difference is what better masks, or a decoder that is used to bad ones, could gain at most. For
data sets that show an object once per image. With --objects, true masks are drawn from the poses
and the object set's meshes, for data sets without masks; what unknown things hide is in them, too.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from itertools import islice
from pathlib import Path

import numpy as np
from keras import ops

from casapose_ros.bundle import Bundle, load_bundle, load_network
from casapose_ros.data.bop import BopDataset, BopFrame, GroundTruth
from casapose_ros.data.depth_rendering import DepthRenderer
from casapose_ros.data.meshes import load_object_set
from casapose_ros.data.resizing import check_aspect, resize_frame
from casapose_ros.geometry import project, resize_camera
from casapose_ros.keypoints.components import find_regions
from casapose_ros.keypoints.regression import regress_keypoints
from casapose_ros.network import CASAPose
from casapose_ros.network.inference import normalise_image
from casapose_ros.types import NUM_KEYPOINTS, CameraModel, Fields

MASKS = ("own", "true")
FAR = 50.0
"""Px; larger errors count as this in the mean."""


def main() -> None:
    args = _arguments()
    bundle = load_bundle(args.model)
    network = load_network(bundle)
    drawn = None if args.objects is None else DrawnMasks(args.objects)
    errors: dict[tuple[str, str], list[float]] = {(g, p): [] for g in MASKS for p in MASKS}
    overlaps: list[tuple[str, np.ndarray]] = []
    for frame in islice(BopDataset(args.data, args.split), args.limit):
        found, seen = _errors(frame, bundle, network, args.min_visibility, drawn)
        overlaps += seen.items()
        for key, values in found.items():
            errors[key] += values.tolist()
    count = len(errors["own", "own"])
    print(f"{args.data.name}/{args.split}: {count} objects")
    print_masks([obj.name for obj in bundle.objects], overlaps)
    print("| decoder 2 is guided by | pixels that speak | found | median px | mean px |")
    print("|---|---|---:|---:|---:|")
    for (guide, pixels), values in errors.items():
        found = np.isfinite(values)
        near = np.minimum(np.array(values)[found], FAR)
        row = f"{100 * found.mean():.1f} % | {np.median(near):.2f} | {near.mean():.2f}"
        print(f"| {guide} masks | of {pixels} masks | {row} |")
    print(f"\nMean over the nine keypoints in px of the image; above {FAR:g} px counts as {FAR:g}.")


def print_masks(names: Sequence[str], overlaps: Sequence[tuple[str, np.ndarray]]) -> None:
    """The table of the own masks, by object and of all.

    Args:
        names: Of the objects, in the table's order.
        overlaps: Of each object in each image, its name and what :func:`_overlap` gives.
    """
    print("\n| own masks | mean IoU | of the objects' pixels found | of those found right |")
    print("|---|---:|---:|---:|")
    for title, shown in [*((name, (name,)) for name in names), ("all", names)]:
        rows = [pixels for name, pixels in overlaps if name in shown]
        if not rows:
            continue
        both, own, true = np.array(rows).T
        iou = np.mean(both / np.maximum(own + true - both, 1))
        found, right = (100 * both.sum() / max(each.sum(), 1) for each in (true, own))
        print(f"| {title} | {iou:.2f} | {found:.0f} % | {right:.0f} % |")
    print()


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--model", type=Path, required=True, metavar="BUNDLE")
    parser.add_argument("--data", type=Path, required=True, metavar="BOPDIR")
    parser.add_argument("--split", default="val", help="(%(default)s)")
    parser.add_argument("--objects", type=Path, metavar="OBJECTS", help="to draw true masks from")
    parser.add_argument("--limit", type=int, default=100, help="images (%(default)s)")
    parser.add_argument(
        "--min-visibility", type=float, default=0.1, help="of the objects (%(default)s)"
    )
    return parser.parse_args()


class DrawnMasks:
    """Visible masks as the poses and meshes of a data set's objects have them.

    Args:
        objects: Folder of the object set.
    """

    def __init__(self, objects: Path) -> None:
        object_set = load_object_set(objects)
        self._names = {obj.bop_id: obj.name for obj in object_set.objects}
        self._renderer = DepthRenderer({o.name: object_set.mesh(o) for o in object_set.objects})

    def draw(self, truths: Sequence[GroundTruth], camera: CameraModel) -> list[np.ndarray]:
        """(H, W) bool masks, each without the pixels where another object is nearer."""
        depths = np.stack(
            [
                self._renderer.render(self._names[t.bop_id], t.R_cam_obj, t.t_cam_obj, camera)
                for t in truths
            ]
        )
        depths[depths == 0] = np.inf
        nearest = depths.min(axis=0)
        return [np.isfinite(depth) & (depth == nearest) for depth in depths]


def _errors(
    frame: BopFrame,
    bundle: Bundle,
    network: CASAPose,
    min_visibility: float,
    drawn: DrawnMasks | None,
) -> tuple[dict[tuple[str, str], np.ndarray], dict[str, np.ndarray]]:
    """Keypoint errors by guide and by pixels, px, and the overlaps of masks by object."""
    size = bundle.input_size
    check_aspect(frame.camera, size, str(frame.image_path))
    objects = {obj.bop_id: obj for obj in bundle.objects}
    known = [index for index, truth in enumerate(frame.objects) if truth.bop_id in objects]
    truths = [frame.objects[index] for index in known]
    masks = map(frame.load_mask, known) if drawn is None else drawn.draw(truths, frame.camera)
    classes = {bop_id: obj.class_id for bop_id, obj in objects.items()}
    image, true = resize_frame(frame.load_image(), truths, masks, classes, size)
    camera = resize_camera(frame.camera, *size)
    expected = {
        classes[truth.bop_id]: project(
            objects[truth.bop_id].keypoints, truth.R_cam_obj, truth.t_cam_obj, camera
        )
        for truth in truths
        if truth.visib_fract is None or truth.visib_fract >= min_visibility
    }
    taps = network.encode(normalise_image(image[None]), training=False)
    outputs = {"own": _decode(network, taps), "true": _decode(network, taps, true)}
    labels = {"own": outputs["own"][0].argmax(axis=-1).astype(np.uint8), "true": true}
    scale = frame.camera.width / size[0]
    errors = {
        (g, p): scale * _distances(Fields(*outputs[g], labels[p]), expected)
        for g in MASKS
        for p in MASKS
    }
    names = {obj.class_id: obj.name for obj in bundle.objects}
    return errors, {names[c]: _overlap(labels["own"] == c, true == c) for c in expected}


def _distances(fields: Fields, expected: dict[int, np.ndarray]) -> np.ndarray:
    """(n,) mean distance of an object's keypoints, px; NaN where it has too few pixels."""
    regressed = regress_keypoints(fields, find_regions(fields.labels))
    found = {k.class_id: k.points for k in regressed}
    missing = np.full((NUM_KEYPOINTS, 2), np.nan)
    return np.array(
        [
            np.linalg.norm(found.get(class_id, missing) - points, axis=1).mean()
            for class_id, points in expected.items()
        ]
    )


def _overlap(own: np.ndarray, true: np.ndarray) -> np.ndarray:
    """(3,) pixels in both masks, in the own one, in the true one."""
    return np.array([np.count_nonzero(mask) for mask in (own & true, own, true)])


def _decode(network: CASAPose, taps, guide: np.ndarray | None = None) -> tuple[np.ndarray, ...]:
    """Logits, vectors and confidence of one image; guided by the network's own masks if None."""
    labels = None if guide is None else guide[None].astype(np.int32)
    logits, vectors, confidence = (
        ops.convert_to_numpy(x)[0] for x in network.decode(taps, labels, training=False)
    )
    return logits, vectors.reshape(*logits.shape[:2], NUM_KEYPOINTS, 2), confidence


if __name__ == "__main__":
    main()
