"""What a network's errors in its masks cost its keypoints.

    python benchmarks/mask_errors.py --model BUNDLE --data BOPDIR --split val

A mask is used twice: decoder 2 is guided by it, and its pixels speak for the object's keypoints.
Every image is taken through the network with its own masks and with the true ones in either place.
The difference is what better masks, or a decoder that is used to bad ones, could gain at most. For
data sets that show an object once per image.
"""

from __future__ import annotations

import argparse
from itertools import islice
from pathlib import Path

import numpy as np
from keras import ops

from casapose_ros.bundle import Bundle, load_bundle, load_network
from casapose_ros.data.bop import BopDataset, BopFrame
from casapose_ros.data.frame_cache import check_aspect, resize_frame
from casapose_ros.geometry import project, resize_camera
from casapose_ros.keypoints.components import find_regions
from casapose_ros.keypoints.regression import regress_keypoints
from casapose_ros.network import CASAPose
from casapose_ros.network.inference import normalise_image
from casapose_ros.types import NUM_KEYPOINTS, Fields

MASKS = ("own", "true")
FAR = 50.0
"""Px; larger errors count as this in the mean."""


def main() -> None:
    args = _arguments()
    bundle = load_bundle(args.model)
    network = load_network(bundle)
    errors: dict[tuple[str, str], list[float]] = {(g, p): [] for g in MASKS for p in MASKS}
    for frame in islice(BopDataset(args.data, args.split), args.limit):
        for key, values in _errors(frame, bundle, network, args.min_visibility).items():
            errors[key] += values
    count = len(errors["own", "own"])
    print(f"{args.data.name}/{args.split}: {count} objects\n")
    print("| decoder 2 is guided by | pixels that speak | found | median px | mean px |")
    print("|---|---|---:|---:|---:|")
    for (guide, pixels), values in errors.items():
        found = np.isfinite(values)
        near = np.minimum(np.array(values)[found], FAR)
        row = f"{100 * found.mean():.1f} % | {np.median(near):.2f} | {near.mean():.2f}"
        print(f"| {guide} masks | of {pixels} masks | {row} |")
    print(f"\nMean over the nine keypoints in px of the image; above {FAR:g} px counts as {FAR:g}.")


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--model", type=Path, required=True, metavar="BUNDLE")
    parser.add_argument("--data", type=Path, required=True, metavar="BOPDIR")
    parser.add_argument("--split", default="val", help="(%(default)s)")
    parser.add_argument("--limit", type=int, default=100, help="images (%(default)s)")
    parser.add_argument(
        "--min-visibility", type=float, default=0.1, help="of the objects (%(default)s)"
    )
    return parser.parse_args()


def _errors(
    frame: BopFrame, bundle: Bundle, network: CASAPose, min_visibility: float
) -> dict[tuple[str, str], list[float]]:
    """Keypoint errors by guide and by pixels, px; NaN where an object has too few pixels."""
    size = bundle.input_size
    check_aspect(frame.camera, size, str(frame.image_path))
    objects = {obj.bop_id: obj for obj in bundle.objects}
    known = [index for index, truth in enumerate(frame.objects) if truth.bop_id in objects]
    truths = [frame.objects[index] for index in known]
    classes = {bop_id: obj.class_id for bop_id, obj in objects.items()}
    image, true = resize_frame(
        frame.load_image(), truths, map(frame.load_mask, known), classes, size
    )
    camera = resize_camera(frame.camera, *size)
    expected = {
        truth.bop_id: project(
            objects[truth.bop_id].keypoints, truth.R_cam_obj, truth.t_cam_obj, camera
        )
        for truth in truths
        if truth.visib_fract is None or truth.visib_fract >= min_visibility
    }
    taps = network.encode(normalise_image(image[None]), training=False)
    outputs = {"own": _decode(network, taps), "true": _decode(network, taps, true)}
    masks = {"own": outputs["own"][0].argmax(axis=-1).astype(np.uint8), "true": true}
    scale = frame.camera.width / size[0]
    errors = {}
    for guide, pixels in ((g, p) for g in MASKS for p in MASKS):
        fields = Fields(*outputs[guide], masks[pixels])
        found = {
            k.class_id: k.points for k in regress_keypoints(fields, find_regions(masks[pixels]))
        }
        errors[guide, pixels] = [
            scale * np.linalg.norm(found[classes[i]] - points, axis=1).mean()
            if classes[i] in found
            else np.nan
            for i, points in expected.items()
        ]
    return errors


def _decode(network: CASAPose, taps, guide: np.ndarray | None = None) -> tuple[np.ndarray, ...]:
    """Logits, vectors and confidence of one image; guided by the network's own masks if None."""
    labels = None if guide is None else guide[None].astype(np.int32)
    logits, vectors, confidence = (
        ops.convert_to_numpy(x)[0] for x in network.decode(taps, labels, training=False)
    )
    return logits, vectors.reshape(*logits.shape[:2], NUM_KEYPOINTS, 2), confidence


if __name__ == "__main__":
    main()
