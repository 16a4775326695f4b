"""From a scene to a labelled image: what a camera would deliver, and the truth about it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from casapose_ros.data.bop import GroundTruth
from casapose_ros.data.effects import EffectsConfig, photograph
from casapose_ros.data.rendering import Renderer, mask_box
from casapose_ros.data.scenes import Scene
from casapose_ros.types import CameraModel


@dataclass(frozen=True)
class LabelledFrame:
    """One rendered image with its ground truth.

    Attributes:
        image: (H, W, 3) uint8 RGB.
        masks: (N, H, W) bool, visible pixels of each object.
        truths: N objects; ``mask_path`` is None.
        camera: The camera.
        depth: (H, W) float32 metres, 0 in the background; None if it was not asked for.
        jpeg: The file that ``image`` was decoded from, or None if it was not compressed.
    """

    image: np.ndarray
    masks: np.ndarray
    truths: tuple[GroundTruth, ...]
    camera: CameraModel
    depth: np.ndarray | None = None
    jpeg: bytes | None = None


def render_frame(
    renderer: Renderer,
    scene: Scene,
    effects: EffectsConfig,
    rng: np.random.Generator,
    depth: bool = False,
) -> LabelledFrame:
    """Draw a scene, with its depth if asked, and apply camera effects, which ``rng`` drives."""
    drawing = renderer.draw(scene.stage, scene.camera)
    instances = scene.stage.instances[: len(scene.objects)]
    masks = drawing.labels == np.arange(1, len(instances) + 1, dtype=np.uint8)[:, None, None]
    truths = []
    for model, instance, mask in zip(scene.objects, instances, masks, strict=True):
        silhouette = renderer.silhouette(instance, scene.camera)
        visible = int(np.count_nonzero(mask))
        truths.append(
            GroundTruth(
                bop_id=model.bop_id,
                R_cam_obj=instance.R_ref_obj,
                t_cam_obj=instance.t_ref_obj,
                # The two are drawn apart and may differ by a pixel.
                visib_fract=min(1.0, visible / max(silhouette.pixels, 1)),
                px_count_all=silhouette.pixels,
                px_count_visib=visible,
                bbox_obj=silhouette.box,
                bbox_visib=mask_box(mask),
            )
        )
    photo = photograph(drawing.image, effects, rng)
    return LabelledFrame(
        image=photo.image,
        masks=masks,
        truths=tuple(truths),
        camera=scene.camera,
        depth=renderer.depth(scene.stage, scene.camera) if depth else None,
        jpeg=photo.jpeg,
    )
