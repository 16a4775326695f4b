"""From a scene to a labelled image: what a camera would deliver, and the truth about it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from casapose_ros.data.bop import GroundTruth
from casapose_ros.data.effects import EffectsConfig, apply_effects
from casapose_ros.data.rendering import Renderer, mask_box
from casapose_ros.data.scenes import Scene
from casapose_ros.types import CameraModel


@dataclass(frozen=True)
class LabelledFrame:
    """One rendered image with its ground truth.

    Attributes:
        image: (H, W, 3) uint8 RGB.
        depth: (H, W) float32 metres, 0 in the background.
        masks: (N, H, W) bool, visible pixels of each object.
        truths: N objects; ``mask_path`` is None.
        camera: The camera.
    """

    image: np.ndarray
    depth: np.ndarray
    masks: np.ndarray
    truths: tuple[GroundTruth, ...]
    camera: CameraModel


def render_frame(
    renderer: Renderer, scene: Scene, effects: EffectsConfig, rng: np.random.Generator
) -> LabelledFrame:
    """Draw a scene and apply camera effects; ``rng`` drives the effects alone."""
    drawing = renderer.draw(scene.stage, scene.camera)
    instances = scene.stage.instances[: len(scene.objects)]
    masks = drawing.labels == np.arange(1, len(instances) + 1, dtype=np.uint8)[:, None, None]
    truths = []
    for model, instance, mask in zip(scene.objects, instances, masks, strict=True):
        silhouette = renderer.silhouette(instance, scene.camera)
        visible = int(mask.sum())
        truths.append(
            GroundTruth(
                bop_id=model.bop_id,
                R_cam_obj=instance.R_ref_obj,
                t_cam_obj=instance.t_ref_obj,
                visib_fract=visible / max(silhouette.pixels, 1),
                px_count_all=silhouette.pixels,
                px_count_visib=visible,
                bbox_obj=silhouette.box,
                bbox_visib=mask_box(mask),
            )
        )
    image = apply_effects(drawing.image, effects, rng)
    return LabelledFrame(image, drawing.depth, masks, tuple(truths), scene.camera)
