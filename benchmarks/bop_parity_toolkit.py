"""Runs the evaluation scripts of a bop_toolkit checkout as they are, with our depth images."""

from __future__ import annotations

import contextlib
import io
import json
import logging
import os
import runpy
import subprocess
import sys
import types
import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from bop_parity_sets import ParitySet
from solid_sets import Render

from casapose_ros.types import CameraModel

MM_PER_M = 1000.0
TAUS = tuple(f"{tau:.3f}" for tau in np.arange(0.05, 0.51, 0.05))
STEPS = {"vsd": TAUS, "mssd": TAUS, "mspd": tuple(f"{px:.3f}" for px in np.arange(5, 51, 5))}


@dataclass(frozen=True)
class PairErrors:
    """The toolkit's errors of one estimate and one true instance: (10,), mm, and px."""

    vsd: tuple[float, ...]
    mssd: float
    mspd: float


@dataclass(frozen=True)
class ToolkitFigures:
    """What the toolkit says about one results file.

    Attributes:
        errors: By (scene, image, object), one row per estimate, best score first, of one entry
            per true instance in the order of the ground truth.
        recalls: By error type, per threshold: (10, 10) for VSD (tau, theta), (10,) for others.
        object_recalls: The same by object.
        averages: ``bop19_average_recall`` and its three parts.
    """

    errors: dict[tuple[int, int, int], list[list[PairErrors]]]
    recalls: dict[str, np.ndarray]
    object_recalls: dict[int, dict[str, np.ndarray]]
    averages: dict[str, float]


class Toolkit:
    """A checkout, ready to run.

    Args:
        checkout: Folder of the toolkit.
        data: Folder of the data sets; results and output go there too.
    """

    def __init__(self, checkout: Path, data: Path) -> None:
        self._checkout, self._data = checkout, data
        for name in ("BOP_PATH", "BOP_RESULTS_PATH", "BOP_EVAL_PATH"):
            os.environ[name] = str(data)
        os.environ["BOP_NUM_WORKERS"] = "1"
        _stand_in_for_image_libraries()
        sys.path.insert(0, str(checkout))
        logging.disable(logging.WARNING)
        warnings.simplefilter("ignore", DeprecationWarning)

    def evaluate(self, parity_set: ParitySet) -> ToolkitFigures:
        """Run ``eval_bop19_pose.py`` with all that it starts, in this process."""
        from bop_toolkit_lib.rendering import renderer

        def create_renderer(width: int, height: int, *_: Any, **__: Any) -> _OurRenderer:
            return _OurRenderer(width, height, parity_set.render)

        def call(command: Sequence[str]) -> int:
            _run(Path(command[1]), command[2:])
            return 0

        originals = renderer.create_renderer, subprocess.call
        renderer.create_renderer, subprocess.call = create_renderer, call
        try:
            script = self._checkout / "scripts" / "eval_bop19_pose.py"
            _run(script, [f"--result_filenames={parity_set.results.name}", "--num_workers=1"])
        finally:
            renderer.create_renderer, subprocess.call = originals
        return _read_figures(self._data / parity_set.results.stem)


class _OurRenderer:
    """Our depth images behind the toolkit's interface, millimetres."""

    def __init__(self, width: int, height: int, render: Render) -> None:
        self._width, self._height, self._render = width, height, render

    def add_object(self, obj_id: int, model_path: str, **_: Any) -> None:
        """Ours has them all already."""

    def render_object(
        self, obj_id: int, R: np.ndarray, t: np.ndarray, fx: float, fy: float, cx: float, cy: float
    ) -> dict[str, np.ndarray]:
        K = np.array([[fx, 0, cx], [0, fy, cy], [0, 0, 1]])
        camera = CameraModel(K, self._width, self._height)
        depth = self._render(f"obj_{obj_id:06d}", R, np.ravel(t) / MM_PER_M, camera)
        return {"depth": depth.astype(np.float64) * MM_PER_M}


def _run(script: Path, arguments: Sequence[str]) -> None:
    before = sys.argv
    sys.argv = [str(script), *arguments]
    try:
        with contextlib.redirect_stdout(io.StringIO()):
            runpy.run_path(str(script), run_name="__main__")
    finally:
        sys.argv = before


def _stand_in_for_image_libraries() -> None:
    """The toolkit imports imageio and pypng; it needs one function of them, to read depth."""
    imageio, reader, png = (types.ModuleType(n) for n in ("imageio", "imageio.v2", "png"))
    reader.imread = lambda path: cv2.imread(str(path), cv2.IMREAD_UNCHANGED)
    imageio.v2 = reader
    sys.modules.update({"imageio": imageio, "imageio.v2": reader, "png": png})


def _read_figures(folder: Path) -> ToolkitFigures:
    folders = {
        "vsd": [folder / f"error=vsd_ntop=-1_delta=15.000_tau={tau}" for tau in TAUS],
        "mssd": [folder / "error=mssd_ntop=-1"],
        "mspd": [folder / "error=mspd_ntop=-1"],
    }
    scores = {
        kind: [
            [_load(path / f"scores_th={th}_min-visib=-1.000.json") for th in STEPS[kind]]
            for path in paths
        ]
        for kind, paths in folders.items()
    }
    objects = scores["mssd"][0][0]["obj_recalls"]

    def recalls(value) -> dict[str, np.ndarray]:
        return {
            kind: np.squeeze([[value(score) for score in row] for row in rows])
            for kind, rows in scores.items()
        }

    return ToolkitFigures(
        errors=_read_errors(folders),
        recalls=recalls(lambda score: score["recall"]),
        object_recalls={int(i): recalls(lambda s, i=i: s["obj_recalls"][i]) for i in objects},
        averages=_load(folder / "scores_bop19.json"),
    )


def _read_errors(folders: dict[str, list[Path]]) -> dict:
    """The files of all ten taus and of the other errors list the same pairs in the same order."""
    result: dict[tuple[int, int, int], list[list[PairErrors]]] = {}
    for file in sorted(folders["mssd"][0].glob("errors_*.json")):
        lists = [_load(path / file.name) for paths in folders.values() for path in paths]
        for entries in zip(*lists, strict=True):
            first = entries[0]
            keys = [(e["scene_id"], e["im_id"], e["obj_id"], e["est_id"]) for e in entries]
            assert len(set(keys)) == 1
            row = []
            for truth in sorted(first["errors"], key=int):
                values = [float(entry["errors"][truth][0]) for entry in entries]
                row.append(PairErrors(tuple(values[:-2]), *values[-2:]))
            result.setdefault(keys[0][:3], []).append(row)
    return result


def _load(path: Path) -> Any:
    return json.loads(path.read_text())
