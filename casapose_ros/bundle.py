"""A model on disk: everything that turns an image into poses, in one folder.

``bundle.json`` says what the network is and which objects it knows, ``weights.npz`` holds float16
weights, ``README.md`` is the model card, if there is one, and ``surfaces.npz`` points of the
objects' surfaces, if the model has them. Nothing in a bundle is ever executed.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from casapose_ros.config import from_dict, to_dict
from casapose_ros.errors import BundleError, ConfigError
from casapose_ros.files import replacing
from casapose_ros.network import CASAPose, NetworkConfig, build_network
from casapose_ros.network.weights import load_weights, save_weights
from casapose_ros.objects import objects_from_json, objects_to_json
from casapose_ros.outlines import load_surfaces, save_surfaces
from casapose_ros.score import ScoreCalibration
from casapose_ros.settings import EstimatorConfig
from casapose_ros.types import ObjectModel

FORMAT_VERSION = 1
DESCRIPTION_FILE = "bundle.json"
WEIGHTS_FILE = "weights.npz"
SURFACES_FILE = "surfaces.npz"
CARD_FILE = "README.md"


@dataclass(frozen=True)
class Bundle:
    """What ``bundle.json`` says.

    Attributes:
        path: The bundle's folder.
        name: The model's name.
        network: What the network is made of.
        input_size: (width, height) in px that the network was trained for.
        objects: The objects it knows, class ids 1..K in order.
        estimator: Settings that suit this model.
        score: Calibration of its score.
        weights_sha256: Of the file with the weights; tells one training from another.
        surfaces_sha256: Of the file with the surfaces; empty if the model has none.
    """

    path: Path
    name: str
    network: NetworkConfig
    input_size: tuple[int, int]
    objects: tuple[ObjectModel, ...]
    estimator: EstimatorConfig
    score: ScoreCalibration
    weights_sha256: str
    surfaces_sha256: str


@dataclass(frozen=True)
class _Description:
    """The keys of ``bundle.json``, in the order in which they are written."""

    format: int
    name: str
    network: NetworkConfig
    input_size: tuple[int, int]
    estimator: EstimatorConfig
    score: ScoreCalibration
    weights_sha256: str
    objects: Any
    surfaces_sha256: str = ""


def save_bundle(
    path: str | Path,
    network: CASAPose,
    objects: Sequence[ObjectModel],
    *,
    name: str,
    input_size: tuple[int, int],
    estimator: EstimatorConfig | None = None,
    score: ScoreCalibration | None = None,
    card: str | None = None,
    surfaces: Sequence[np.ndarray] | None = None,
) -> Bundle:
    """Write a bundle, over an older one if there is any.

    Args:
        path: Folder; made if it does not exist.
        network: A built network; its weights are stored as float16.
        objects: One object for each of the network's classes 1..K.
        name: The model's name.
        input_size: (width, height) in px.
        estimator: Settings that suit this model; the defaults if None.
        score: Calibration of its score; none if None.
        card: Text of the model card; None leaves the card as it is.
        surfaces: (N, 3) points of each object, in diameters from its centre; None for a model
            without.

    Raises:
        BundleError: The objects do not fit the network, or the input size is not positive.
        WeightsError: A weight is not finite, or becomes so as float16.
    """
    path = Path(path)
    _check_fit(path, network.config, input_size, objects)
    path.mkdir(parents=True, exist_ok=True)
    new_weights = path / f".{WEIGHTS_FILE}.new"
    save_weights(network, new_weights)
    new_surfaces = None if surfaces is None else _new_surfaces(path, surfaces)
    description = _Description(
        format=FORMAT_VERSION,
        name=name,
        network=network.config,
        input_size=input_size,
        estimator=estimator or EstimatorConfig(),
        score=score or ScoreCalibration(),
        weights_sha256=_sha256(new_weights),
        objects=objects_to_json(objects),
        surfaces_sha256="" if new_surfaces is None else _sha256(new_surfaces),
    )
    with replacing(path / DESCRIPTION_FILE) as part:
        _rewrite(part, description)
        os.replace(new_weights, path / WEIGHTS_FILE)
        if new_surfaces is None:
            (path / SURFACES_FILE).unlink(missing_ok=True)
        else:
            os.replace(new_surfaces, path / SURFACES_FILE)
    if card is not None:
        (path / CARD_FILE).write_text(card)
    return load_bundle(path)


def add_surfaces(path: str | Path, surfaces: Sequence[np.ndarray]) -> Bundle:
    """Give a bundle surfaces, in place of those it has, and refine poses by them from now on.

    Args:
        path: The bundle's folder.
        surfaces: (N, 3) points of each object, in diameters from its centre.

    Raises:
        BundleError: The bundle cannot be used.
    """
    bundle = load_bundle(path)
    new_surfaces = _new_surfaces(bundle.path, surfaces)
    with replacing(bundle.path / DESCRIPTION_FILE) as part:
        _rewrite(
            part,
            _read_description(bundle.path),
            estimator=dataclasses.replace(bundle.estimator, refinement="outline"),
            surfaces_sha256=_sha256(new_surfaces),
        )
        os.replace(new_surfaces, bundle.path / SURFACES_FILE)
    return load_bundle(path)


def recalibrate(path: str | Path, estimator: EstimatorConfig, score: ScoreCalibration) -> Bundle:
    """Put what was measured anew into a bundle.

    Args:
        path: The bundle's folder.
        estimator: Settings that suit the model.
        score: Calibration of its score.

    Raises:
        BundleError: The bundle cannot be used.
    """
    bundle = load_bundle(path)
    with replacing(bundle.path / DESCRIPTION_FILE) as part:
        _rewrite(part, _read_description(bundle.path), estimator=estimator, score=score)
    return load_bundle(path)


def load_bundle(path: str | Path) -> Bundle:
    """Read a bundle's description and check that its weights arrived whole.

    Raises:
        BundleError: The folder or a file in it is missing, the description is not JSON, has
            another format version, a wrong or unknown key, or contradicts itself, or the
            weights are not those that it was written with.
    """
    path = Path(path)
    description = _read_description(path)
    _check_whole(path / WEIGHTS_FILE, description.weights_sha256)
    try:
        objects = objects_from_json(description.objects, str(path / DESCRIPTION_FILE))
    except ConfigError as error:
        raise BundleError(str(error)) from error
    _check_fit(path, description.network, description.input_size, objects)
    return Bundle(
        path=path,
        name=description.name,
        network=description.network,
        input_size=description.input_size,
        objects=objects,
        estimator=description.estimator,
        score=description.score,
        weights_sha256=description.weights_sha256,
        surfaces_sha256=description.surfaces_sha256,
    )


def bundle_surfaces(bundle: Bundle) -> tuple[np.ndarray, ...] | None:
    """(N, 3) points of each object, in diameters from its centre; None if the bundle has none.

    Raises:
        BundleError: The file is missing or damaged.
    """
    if not bundle.surfaces_sha256:
        return None
    path = bundle.path / SURFACES_FILE
    _check_whole(path, bundle.surfaces_sha256)
    return load_surfaces(path, len(bundle.objects))


def load_network(bundle: Bundle) -> CASAPose:
    """Build a bundle's network with its weights.

    Raises:
        WeightsError: The weights are for another K or variant, or hold NaN.
    """
    network = build_network(bundle.network)
    load_weights(network, bundle.path / WEIGHTS_FILE)
    return network


def _read_description(path: Path) -> _Description:
    file = path / DESCRIPTION_FILE
    try:
        values = json.loads(file.read_text())
    except (FileNotFoundError, NotADirectoryError) as error:
        raise BundleError(
            f"{path} is no model bundle: it has no {DESCRIPTION_FILE}; "
            "bundles are made by 'casapose train' and 'casapose import-h5'"
        ) from error
    except (json.JSONDecodeError, UnicodeDecodeError) as error:
        raise BundleError(f"{file}: not valid JSON: {error}") from error
    version = values.get("format") if isinstance(values, dict) else None
    if version != FORMAT_VERSION:
        raise BundleError(
            f"{file}: format {version!r} is unknown; this version of casapose_ros reads format "
            f"{FORMAT_VERSION}"
        )
    needed = [f.name for f in dataclasses.fields(_Description) if f.name != "surfaces_sha256"]
    missing = [name for name in needed if name not in values]
    if missing:
        raise BundleError(f"{file}: missing {', '.join(missing)}")
    try:
        return from_dict(_Description, values, str(file))
    except ConfigError as error:
        raise BundleError(str(error)) from error


def _check_fit(
    path: Path,
    network: NetworkConfig,
    input_size: tuple[int, int],
    objects: Sequence[ObjectModel],
) -> None:
    if min(input_size) < 1:
        raise BundleError(f"{path}: input size must be positive, got {input_size}")
    class_ids = [obj.class_id for obj in objects]
    if class_ids != list(range(1, network.num_objects + 1)):
        raise BundleError(
            f"{path}: the network knows {network.num_objects} objects, class ids 1 to "
            f"{network.num_objects}; the object set has class ids {class_ids}"
        )


def _rewrite(file: Path, description: _Description, **changes: Any) -> None:
    values = to_dict(dataclasses.replace(description, **changes))
    file.write_text(json.dumps(values, indent=1) + "\n")


def _new_surfaces(path: Path, surfaces: Sequence[np.ndarray]) -> Path:
    """Write surfaces beside those that a bundle has."""
    file = path / f".{SURFACES_FILE}.new"
    save_surfaces(file, surfaces)
    return file


def _check_whole(file: Path, sha256: str) -> None:
    """Whether a file arrived as it was written."""
    if not file.is_file():
        raise BundleError(f"{file}: no such file; the bundle is incomplete, copy it again")
    if _sha256(file) != sha256:
        raise BundleError(
            f"{file}: its SHA-256 is not the one in {DESCRIPTION_FILE}; the file is damaged or "
            "from another bundle, copy it again"
        )


def _sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()
