"""Object sets on disk: their own, and BOP's folders of models."""

import json
from pathlib import Path

import numpy as np
import pytest
import trimesh

from casapose_ros.data.meshes import load_mesh, load_object_set
from casapose_ros.data.models_info import read_models_info, write_models_info
from casapose_ros.data.object_sets import build_object_set, describe_object, write_object_set
from casapose_ros.data.ply import write_ply
from casapose_ros.errors import ConfigError, MeshError
from casapose_ros.types import Symmetries

LMO_MODELS = Path(__file__).resolve().parents[3] / "shared" / "data" / "lmo" / "models"
EDGE = 0.1

needs_lmo = pytest.mark.skipif(
    not LMO_MODELS.is_dir(), reason="LM-O models are not at ../shared/data/lmo/models"
)


def box():
    return trimesh.creation.box((EDGE,) * 3)


def cube_mesh(tmp_path):
    box().subdivide().export(tmp_path / "cube_source.ply")
    return load_mesh(tmp_path / "cube_source.ply", "m")


def test_an_object_set_survives_the_round_trip(tmp_path):
    mesh = cube_mesh(tmp_path)
    turn = np.diag([-1.0, -1, 1, 1])
    turn[:3, 3] = [0.01, 0.02, 0]
    symmetries = Symmetries(turn[None], ((np.array([0.0, 0, 1]), np.array([0.0, 0.03, 0])),))
    obj = describe_object(mesh.vertices, "cube", 1, 12, symmetries)
    write_object_set(tmp_path / "set", [obj], [mesh])
    loaded = load_object_set(tmp_path / "set")
    (cube,) = loaded.objects
    assert loaded.mesh_path(cube) == tmp_path / "set" / "obj_000012.ply"
    np.testing.assert_allclose(loaded.mesh(cube).vertices, mesh.vertices, atol=1e-7)
    np.testing.assert_array_equal(cube.keypoints, obj.keypoints)
    info = read_models_info(tmp_path / "set" / "models_info.json")[12]
    assert info.diameter == pytest.approx(EDGE * np.sqrt(3))
    np.testing.assert_allclose(info.box_min, -EDGE / 2)
    np.testing.assert_allclose(info.box_max, EDGE / 2)
    np.testing.assert_allclose(info.symmetries.discrete, symmetries.discrete)
    np.testing.assert_allclose(info.symmetries.continuous, symmetries.continuous)


def test_a_bop_folder_is_an_object_set(tmp_path):
    mesh = cube_mesh(tmp_path)
    objects = [describe_object(mesh.vertices, f"o{i}", i, bop_id) for i, bop_id in ((1, 9), (2, 4))]
    write_object_set(tmp_path / "set", objects, [mesh, mesh])
    (tmp_path / "set" / "objects.json").unlink()
    loaded = load_object_set(tmp_path / "set").objects
    assert [(obj.name, obj.class_id, obj.bop_id) for obj in loaded] == [
        ("obj_000004", 1, 4),
        ("obj_000009", 2, 9),
    ]
    np.testing.assert_allclose(loaded[0].keypoints[0], 0, atol=1e-7)


def test_incomplete_object_sets_are_errors(tmp_path):
    with pytest.raises(MeshError, match="neither an object set"):
        load_object_set(tmp_path)
    mesh = cube_mesh(tmp_path)
    write_object_set(tmp_path, [describe_object(mesh.vertices, "cube", 1, 1)], [mesh])
    (tmp_path / "obj_000001.ply").unlink()
    with pytest.raises(MeshError, match=r"obj_000001\.ply of cube is missing"):
        load_object_set(tmp_path)
    (tmp_path / "objects.json").unlink()
    with pytest.raises(MeshError, match=r"obj_000001\.ply: no such mesh file"):
        load_object_set(tmp_path)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{", "not a BOP models_info.json"),
        ("[1]", "not a BOP models_info.json"),
        ('{"one": {}}', "not a BOP models_info.json"),
        ('{"1": {"min_x": 0, "min_y": 0, "min_z": 0}}', "lacks 'size_x'"),
    ],
)
def test_a_bad_models_info_is_named(tmp_path, text, message):
    (tmp_path / "models_info.json").write_text(text)
    with pytest.raises(MeshError, match=message):
        read_models_info(tmp_path / "models_info.json")


def test_an_empty_models_info_has_no_objects(tmp_path):
    write_models_info(tmp_path / "models_info.json", [])
    assert read_models_info(tmp_path / "models_info.json") == {}
    with pytest.raises(MeshError, match="it has no objects"):
        load_object_set(tmp_path)


def test_a_mesh_that_contradicts_its_models_info_is_an_error(tmp_path):
    mesh = cube_mesh(tmp_path)
    obj = describe_object(mesh.vertices * 1.1, "cube", 1, 1)
    write_object_set(tmp_path / "bop", [obj], [mesh])
    with pytest.raises(MeshError, match=r"diameter is 0\.1732 m, models_info\.json says 0\.1905 m"):
        build_object_set(tmp_path / "bop", tmp_path / "out", "mm")


def test_a_bop_folder_with_a_symmetry_that_is_none_is_an_error(tmp_path):
    write_ply(tmp_path / "obj_000004.ply", cube_mesh(tmp_path))
    mirrored = {
        "diameter": 173.2,
        "symmetries_discrete": [np.diag([-1.0, 1, 1, 1]).ravel().tolist()],
    }
    low = {f"min_{axis}": -50 for axis in "xyz"} | {f"size_{axis}": 100 for axis in "xyz"}
    (tmp_path / "models_info.json").write_text(json.dumps({"4": mirrored | low}))
    with pytest.raises(ConfigError, match="models_info.json.*obj_000004.*symmetr"):
        load_object_set(tmp_path)


def test_an_object_set_is_not_written_over_other_models(tmp_path):
    (tmp_path / "cad").mkdir()
    box().export(tmp_path / "cad" / "cube.ply")
    (tmp_path / "models").mkdir()
    (tmp_path / "models" / "models_info.json").write_text("{}")
    with pytest.raises(ConfigError, match="models has models that 'casapose objects' has not made"):
        build_object_set(tmp_path / "cad", tmp_path / "models", "m")


def test_an_object_set_is_not_written_over_its_meshes(tmp_path):
    box().export(tmp_path / "cube.ply")
    with pytest.raises(ConfigError, match="would overwrite"):
        build_object_set(tmp_path, tmp_path, "m")


@needs_lmo
def test_linemod_models_agree_with_their_models_info():
    infos = read_models_info(LMO_MODELS / "models_info.json")
    object_set = load_object_set(LMO_MODELS)
    assert [obj.bop_id for obj in object_set.objects] == [1, 5, 6, 8, 9, 10, 11, 12]
    symmetric = {obj.bop_id for obj in object_set.objects if obj.symmetries.any}
    assert symmetric == {10, 11}
    for obj in object_set.objects:
        mesh = object_set.mesh(obj)
        info = infos[obj.bop_id]
        assert mesh.diameter == pytest.approx(info.diameter, rel=0.01)
        np.testing.assert_allclose(mesh.vertices.min(axis=0), info.box_min, atol=1e-4)
        np.testing.assert_allclose(mesh.vertices.max(axis=0), info.box_max, atol=1e-4)
        assert mesh.colours.std() > 5
        spread = np.linalg.norm(obj.keypoints[:, None] - obj.keypoints[None], axis=2)
        assert spread[np.triu_indices(9, 1)].min() > 0.15 * obj.diameter
