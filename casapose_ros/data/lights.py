"""Lamps, sky and shadows as the shaders' uniforms."""

from __future__ import annotations

from collections.abc import Sequence

import moderngl
import numpy as np

from casapose_ros.data import shaders
from casapose_ros.data.shadows import UNITS, Seen
from casapose_ros.data.stage import Stage
from casapose_ros.data.uploading import as_bytes


def bind_maps(program: moderngl.Program) -> None:
    """Tell a program that includes ``shaders.LIGHTING`` where the shadow maps are bound."""
    for name, unit in zip(("shadow_map_0", "shadow_map_1", "sky_map"), UNITS, strict=True):
        program[name] = unit


def set_lights(programs: Sequence[moderngl.Program], stage: Stage, seen: Seen) -> None:
    """Give the programs a stage's lamps and what its shadow maps saw."""
    positions, powers = (np.zeros((shaders.MAX_LAMPS, 3)) for _ in range(2))
    for i, lamp in enumerate(stage.lamps):
        positions[i] = lamp.position
        powers[i] = lamp.colour * np.sum((lamp.position - stage.focus) ** 2)
    values = {name: getattr(stage, name) for name in ("up", "sky", "ground")}
    values |= {"lamp_position": positions, "lamp_power": powers}
    values |= {f"to_shadow_{i}": matrix.T for i, matrix in enumerate(seen.to_shadow)}
    values |= {"to_sky": seen.to_sky.T, "height": seen.height}
    packed = {name: as_bytes(value) for name, value in values.items()}
    for program in programs:
        for name, data in packed.items():
            program[name].write(data)
