import argparse
import json

import numpy as np
import pytest
import trimesh
from other_scans import moved, subdivided

from casapose_ros.commands import objects as command
from casapose_ros.data import nets_pdf
from casapose_ros.data.meshes import load_object_set
from casapose_ros.errors import ConfigError, MeshError

HALF_TURN = [-1, 0, 0, 5, 0, -1, 0, 0, 0, 0, 1, 0, 0, 0, 0, 1]


def run(*arguments):
    parser = argparse.ArgumentParser()
    command.add_arguments(parser)
    return command.run(parser.parse_args([str(argument) for argument in arguments]))


@pytest.fixture
def mesh_dir(tmp_path):
    folder = tmp_path / "meshes"
    folder.mkdir()
    trimesh.creation.box((120, 80, 60)).export(folder / "brick.stl")
    trimesh.creation.cylinder(40, 100).export(folder / "can.obj")
    return folder


def test_meshes_become_an_object_set(mesh_dir, tmp_path, capsys):
    assert run(mesh_dir, "--units", "mm", "--out", tmp_path / "out") == 0
    objects = load_object_set(tmp_path / "out").objects
    assert [(obj.name, obj.class_id, obj.bop_id) for obj in objects] == [
        ("brick", 1, 1),
        ("can", 2, 2),
    ]
    assert objects[0].diameter == pytest.approx(np.linalg.norm([0.12, 0.08, 0.06]), rel=1e-6)
    printed = capsys.readouterr().out
    assert "1  brick: 120.0 x 80.0 x 60.0 mm, diameter 156.2 mm\n" in printed


def test_names_and_symmetries_are_taken_from_the_options(mesh_dir, tmp_path, capsys):
    symmetries = tmp_path / "symmetries.yaml"
    symmetries.write_text(
        json.dumps(
            {
                "tin": {"symmetries_continuous": [{"axis": [0, 0, 1], "offset": [0, 0, 10]}]},
                "brick": {"symmetries_discrete": [HALF_TURN]},
            }
        )
    )
    run(
        mesh_dir, "--units", "mm", "--out", tmp_path / "out",
        "--names", "can=tin", "--symmetries", symmetries,
    )  # fmt: skip
    brick, tin = load_object_set(tmp_path / "out").objects
    assert tin.name == "tin"
    np.testing.assert_allclose(tin.symmetries.continuous[0][1], [0, 0, 0.01])
    np.testing.assert_allclose(brick.symmetries.discrete[0, :3, 3], [0.005, 0, 0])
    assert capsys.readouterr().out.count("symmetric") == 2


def test_a_bop_folder_needs_no_unit_and_keeps_its_symmetries(mesh_dir, tmp_path):
    symmetries = tmp_path / "symmetries.json"
    symmetries.write_text(json.dumps({"brick": {"symmetries_discrete": [HALF_TURN]}}))
    run(mesh_dir, "--units", "mm", "--out", tmp_path / "bop", "--symmetries", symmetries)
    run(tmp_path / "bop", "--out", tmp_path / "again", "--names", "obj_000002=tin")
    brick, tin = load_object_set(tmp_path / "again").objects
    assert (brick.name, tin.name) == ("obj_000001", "tin")
    np.testing.assert_allclose(
        brick.symmetries.discrete[0], np.diag([-1, -1, 1, 1]) + np.eye(4, k=3) * 0.005
    )
    assert not tin.symmetries.any


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "say the unit"),
        (["--units", "m"], "is the file in millimetres"),
        (["--units", "mm", "--names", "kan=tin"], "unknown 'kan'; did you mean 'can'"),
        (["--units", "mm", "--names", "can"], "expected FILE=NAME"),
        (["--units", "mm", "--names", "can=my tin"], "must be letters"),
        (["--units", "mm", "--names", "can=brick"], "'brick' is used more than once"),
        (["--units", "mm", "--symmetries", "nowhere.yaml"], "no such symmetries file"),
    ],
)
def test_bad_options_are_named(mesh_dir, tmp_path, arguments, message):
    with pytest.raises((ConfigError, MeshError), match=message):
        run(mesh_dir, "--out", tmp_path / "out", *arguments)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("[1, 2]", "expected a mapping"),
        ("{", "not valid YAML"),
        ("can: 3", "can: expected a mapping"),
        ("kan: {}", "unknown 'kan'; did you mean 'can'"),
        ("can: {symmetries_discreet: []}", "did you mean 'symmetries_discrete'"),
        ("can: {symmetries_discrete: [[1, 2]]}", "malformed symmetries"),
        ("can: {symmetries_continuous: [{axis: [0, 0, 1]}]}", "malformed symmetries: .*offset"),
        (f"can: {{symmetries_discrete: [{[2, *HALF_TURN[1:]]}]}}", "no rotation"),
    ],
)
def test_bad_symmetries_are_named(mesh_dir, tmp_path, content, message):
    path = tmp_path / "symmetries.yaml"
    path.write_text(content)
    with pytest.raises(ConfigError, match=message):
        run(mesh_dir, "--units", "mm", "--out", tmp_path / "out", "--symmetries", path)


def test_a_folder_without_meshes_is_an_error(tmp_path):
    with pytest.raises(MeshError, match="no such folder"):
        run(tmp_path / "none", "--units", "mm", "--out", tmp_path / "out")
    (tmp_path / "empty").mkdir()
    with pytest.raises(MeshError, match="no mesh files"):
        run(tmp_path / "empty", "--units", "mm", "--out", tmp_path / "out")


def test_the_demo_objects_come_with_their_sheets(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(nets_pdf, "PRINT_PX_PER_MM", 1.0)  # saves seconds
    assert run("--demo", "--out", tmp_path) == 0
    assert len(load_object_set(tmp_path).objects) == 7
    assert (tmp_path / "nets.pdf").read_bytes().startswith(b"%PDF")
    assert "hexagon" in capsys.readouterr().out


@pytest.fixture
def two_sets(mesh_dir, tmp_path):
    """An object set of brick and can, and a folder with another scan of each, in centimetres."""
    symmetries = tmp_path / "symmetries.yaml"
    continuous = {"axis": [0, 0, 1], "offset": [0, 0, 0]}
    symmetries.write_text(json.dumps({"can": {"symmetries_continuous": [continuous]}}))
    run(mesh_dir, "--units", "mm", "--out", tmp_path / "known", "--symmetries", symmetries)
    known = load_object_set(tmp_path / "known")
    rng = np.random.default_rng(0)
    folder = tmp_path / "scans"
    folder.mkdir()
    for obj, number in zip(known.objects, (21, 14), strict=True):
        scan, _ = moved(subdivided(known.mesh(obj)), rng)
        mesh = trimesh.Trimesh(100 * scan.vertices, scan.faces, process=False)
        mesh.export(folder / f"obj_{number:06d}.ply")
    return known, folder


def test_other_scans_get_the_known_keypoints_in_their_own_frame(two_sets, tmp_path, capsys):
    known, folder = two_sets
    names = ("--names", "obj_000021=brick", "obj_000014=can")
    align = ("--units", "cm", "--align-to", known.path, *names)
    assert run(folder, "--out", tmp_path / "aligned", *align) == 0
    aligned = load_object_set(tmp_path / "aligned")
    assert [(o.name, o.class_id, o.bop_id) for o in aligned.objects] == [
        ("brick", 1, 21),
        ("can", 2, 14),
    ]
    for obj, other in zip(aligned.objects, known.objects, strict=True):
        back = trimesh.transform_points(obj.keypoints, obj.T_reference_obj)
        np.testing.assert_allclose(back, other.keypoints, atol=1e-9)
        # The transform lays the scan's surface on the known one's.
        vertices = trimesh.transform_points(aligned.mesh(obj).vertices, obj.T_reference_obj)
        np.testing.assert_allclose(vertices.min(axis=0), other.box_min, atol=0.001)
        np.testing.assert_allclose(vertices.max(axis=0), other.box_max, atol=0.001)
    ((axis, offset),) = aligned.objects[1].symmetries.continuous
    R = aligned.objects[1].T_reference_obj[:3, :3]
    np.testing.assert_allclose(R @ axis, [0, 0, 1], atol=1e-12)
    on_axis = trimesh.transform_points([offset], aligned.objects[1].T_reference_obj)[0]
    np.testing.assert_allclose(on_axis[:2], 0, atol=1e-12)
    printed = capsys.readouterr().out
    assert "brick: surfaces 0." in printed and "mm apart (median; 95 %: 0." in printed
    assert "can: " in printed and "positions fit equally well" in printed


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (
            [],
            r"no object to align obj_000014.ply \(obj_000014\), obj_000021.ply .* brick, can: say",
        ),
        (["--names", "obj_000021=brik"], r"to align obj_000021.ply \(brik\) to; it has brick, can"),
        (["--names", "obj_000021=can", "obj_000014=can"], "'can' is used more than once"),
        (["--names", "obj_000012=can"], "unknown 'obj_000012'; did you mean 'obj_000021'"),
        (["--symmetries", "some.yaml"], "--align-to takes no --symmetries"),
    ],
)
def test_scans_without_a_partner_are_named(two_sets, tmp_path, arguments, message):
    known, folder = two_sets
    align = ("--units", "cm", "--align-to", known.path, *arguments)
    with pytest.raises(ConfigError, match=message):
        run(folder, "--out", tmp_path / "aligned", *align)
    assert not (tmp_path / "aligned").exists()


def test_a_set_is_not_aligned_onto_itself(two_sets):
    known, folder = two_sets
    with pytest.raises(ConfigError, match="would overwrite the one that it is aligned to"):
        run(folder, "--units", "cm", "--align-to", known.path, "--out", known.path)


def test_a_scan_of_another_size_names_both_sizes(two_sets, tmp_path):
    known, folder = two_sets
    names = ("--names", "obj_000021=brick")
    with pytest.raises(MeshError, match=r"brick: .* is 15\.\d mm across, .* 156\.2 mm: .* unit"):
        run(folder, "--units", "mm", "--align-to", known.path, "--out", tmp_path / "out", *names)


def test_the_demo_takes_no_mesh_options(tmp_path):
    with pytest.raises(ConfigError, match="--demo takes no"):
        run("--demo", "--units", "mm", "--out", tmp_path)
    with pytest.raises(SystemExit):
        run(tmp_path, "--demo", "--out", tmp_path)
    with pytest.raises(SystemExit):
        run("--out", tmp_path)
