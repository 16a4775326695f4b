"""Settings of a synthetic scenario: which objects are seen from where, under which conditions."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from casapose_ros.data.effects import EffectsConfig
from casapose_ros.data.materials import RecolourConfig
from casapose_ros.data.ranges import check_ranges
from casapose_ros.data.stage import MAX_INSTANCES
from casapose_ros.errors import ConfigError
from casapose_ros.types import CameraModel

POSITIVE = (
    "distance_m",
    "distractor_size_m",
    "sheet_size_m",
    "table_size_m",
    "pattern_m",
    "shininess",
    "furniture_shininess",
    "stain_m",
)
MAX_DISTANCE_M = 15.0
"""Objects are then in front of the renderer's far plane with what is behind them."""
MAX_FILL = 3
"""The renderer draws four lamps; one is the key light."""


@dataclass(frozen=True)
class CameraConfig:
    """A pinhole camera; ``cx``, ``cy`` count pixel centres at integers, as calibrations do."""

    width: int = 640
    height: int = 480
    fx: float = 600.0
    fy: float = 600.0
    cx: float = 319.5
    cy: float = 239.5

    def model(self) -> CameraModel:
        K = np.array([[self.fx, 0, self.cx], [0, self.fy, self.cy], [0, 0, 1]])
        return CameraModel(K, self.width, self.height)


@dataclass(frozen=True)
class LightConfig:
    """Linear light; about 1 in all shows a white sheet on the table as white.

    Attributes:
        ambient: Light from all around.
        key: Strength of the main lamp.
        fill_count: Number of further lamps; at most 3. The two strongest lamps cast shadows.
        fill: Strength of each of them.
        elevation_deg: Heights of all lamps above the table, seen from the objects.
        distance_m: Their distances; far lamps act like the sun.
        tint: Largest deviation of a lamp's colour channels from white.
        shadow_blur_m: Half-width of the shadows' edge.
    """

    ambient: tuple[float, float] = (0.2, 0.5)
    key: tuple[float, float] = (0.4, 0.9)
    fill_count: tuple[int, int] = (0, 2)
    fill: tuple[float, float] = (0.05, 0.3)
    elevation_deg: tuple[float, float] = (30.0, 80.0)
    distance_m: tuple[float, float] = (0.7, 4.0)
    tint: float = 0.15
    shadow_blur_m: tuple[float, float] = (0.001, 0.01)

    def __post_init__(self) -> None:
        check_ranges(self)
        if self.fill_count[1] > MAX_FILL:
            raise ConfigError(f"fill_count: at most {MAX_FILL} fill lamps, got {self.fill_count}")


@dataclass(frozen=True)
class SceneConfig:
    """Ranges from which scenes are drawn. Counts include both ends.

    Attributes:
        objects: Names of the objects to draw from; empty for all of the set.
        object_count: Different objects per scene.
        instances_per_object: How often each of them is there.
        azimuth_deg: Camera's bearing about the z axis of an upright object: 0 sees its -y side,
            90 its +x side.
        elevation_deg: Camera's height above the table, seen from the object's origin.
        roll_deg: Camera's turn about its optical axis.
        distance_m: From the camera to the object's origin.
        spacing: Distance between neighbours over the sum of their footprints' radii; small
            values crowd them, which is what makes them hide each other.
        centre_margin_px: Least distance of an object's projected origin from the image border.
        other_face_probability: How often an object rests on another face than the one below it
            in its own frame; 0 means always upright.
        leaning_probability: How often an object or distractor is tilted and touches another one.
        lean_deg: How far it is tilted.
        stacked_probability: How often it stands on others; where that does not work, it stands.
        floating_probability: How often it hangs in the air.
        float_tilt_deg: How far what floats is tilted.
        float_height_m: How far it is above what is below it.
        distractor_count: Random solids among the objects.
        distractor_size_m: Extent of a distractor along each of its axes.
        scattered_probability: How often a distractor is somewhere on the table instead of beside
            the objects.
        scatter_m: How far from the middle it then is.
        lookalike_probability: How often a distractor, a sheet, the table or the background has the
            colours of a known object, which is then to be told by its shape.
        photo_probability: How often any of these shows a photo instead of a painted pattern. The
            photos are a folder of the user's own; see ``photos.py``.
        sheet_count: Printed sheets that lie on the table, below all else.
        sheet_size_m: Their edges.
        table_size_m: Edges of the table; beyond it there is background.
        pattern_m: Size of the table's pattern before it repeats.
        specular: Strength of highlights and reflections of the known objects.
        shininess: Exponent of their highlights.
        furniture_specular: Strength of highlights and reflections of all else; the background,
            which is unlit, has none.
        furniture_shininess: Exponent of their highlights; papers have the table's.
        recolour: Variation of the known objects' colours.
        stains: Strength of stains on objects and distractors: how far they change colours, 0 to 1.
        stain_m: Size of their pattern; the finest ones are a thirtieth of it.
        camera: The camera.
        light: Lamps and shadows.
        effects: What the camera does to the image.
    """

    objects: tuple[str, ...] = ()
    object_count: tuple[int, int] = (2, 3)
    instances_per_object: tuple[int, int] = (1, 1)
    azimuth_deg: tuple[float, float] = (-180.0, 180.0)
    elevation_deg: tuple[float, float] = (10.0, 80.0)
    roll_deg: tuple[float, float] = (-15.0, 15.0)
    distance_m: tuple[float, float] = (0.3, 0.8)
    spacing: tuple[float, float] = (0.6, 1.3)
    centre_margin_px: float = 20.0
    other_face_probability: float = 0.0
    leaning_probability: float = 0.0
    lean_deg: tuple[float, float] = (10.0, 45.0)
    stacked_probability: float = 0.0
    floating_probability: float = 0.0
    float_tilt_deg: tuple[float, float] = (0.0, 180.0)
    float_height_m: tuple[float, float] = (0.0, 0.15)
    distractor_count: tuple[int, int] = (0, 3)
    distractor_size_m: tuple[float, float] = (0.02, 0.1)
    scattered_probability: float = 0.0
    scatter_m: tuple[float, float] = (0.2, 0.6)
    lookalike_probability: float = 0.0
    photo_probability: float = 0.0
    sheet_count: tuple[int, int] = (0, 0)
    sheet_size_m: tuple[float, float] = (0.05, 0.35)
    table_size_m: tuple[float, float] = (0.8, 3.0)
    pattern_m: tuple[float, float] = (0.3, 2.0)
    specular: tuple[float, float] = (0.0, 0.3)
    shininess: tuple[float, float] = (5.0, 60.0)
    furniture_specular: tuple[float, float] = (0.0, 0.5)
    furniture_shininess: tuple[float, float] = (5.0, 100.0)
    recolour: RecolourConfig = field(default_factory=RecolourConfig)
    stains: tuple[float, float] = (0.0, 0.0)
    stain_m: tuple[float, float] = (0.05, 0.3)
    camera: CameraConfig = field(default_factory=CameraConfig)
    light: LightConfig = field(default_factory=LightConfig)
    effects: EffectsConfig = field(default_factory=EffectsConfig)

    def __post_init__(self) -> None:
        check_ranges(self)
        if self.object_count[0] < 1:
            raise ConfigError(f"object_count: at least one object is needed: {self.object_count}")
        if self.instances_per_object[0] < 1:
            raise ConfigError(
                f"instances_per_object: at least one is needed: {self.instances_per_object}"
            )
        things = self.object_count[1] * self.instances_per_object[1] + self.distractor_count[1]
        if things > MAX_INSTANCES:
            raise ConfigError(
                f"object_count times instances_per_object, and distractor_count: at most "
                f"{MAX_INSTANCES} things can be drawn, got up to {things}"
            )
        if not 0 < self.elevation_deg[0] <= self.elevation_deg[1] <= 90:
            raise ConfigError(
                f"elevation_deg: the camera must be above the table, got {self.elevation_deg}"
            )
        for name in POSITIVE:
            if getattr(self, name)[0] <= 0:
                raise ConfigError(f"{name}: must be positive, got {getattr(self, name)}")
        if not 0 <= self.stains[0] <= self.stains[1] <= 1:
            raise ConfigError(f"stains: expected 0 to 1, got {self.stains}")
        if self.distance_m[1] > MAX_DISTANCE_M:
            raise ConfigError(
                f"distance_m: the renderer draws up to {MAX_DISTANCE_M:g} m, got {self.distance_m}"
            )
        chances = (self.leaning_probability, self.stacked_probability, self.floating_probability)
        if sum(chances) > 1:
            raise ConfigError(
                "leaning_, stacked_ and floating_probability exclude each other: their sum must "
                f"be at most 1, got {sum(chances):g}"
            )
