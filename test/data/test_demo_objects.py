import numpy as np
import pytest
from scipy.spatial import cKDTree

from casapose_ros.data.demo_objects import demo_mesh, demo_object_set, face_style, symmetries_of
from casapose_ros.data.meshes import load_object_set
from casapose_ros.data.solids import demo_solids, pieces_per_edge, tessellate

SOLIDS = {solid.name: solid for solid in demo_solids()}


@pytest.fixture(scope="module")
def meshes():
    return {name: demo_mesh(solid) for name, solid in SOLIDS.items()}


@pytest.fixture(scope="module")
def demo_set(tmp_path_factory):
    path = tmp_path_factory.mktemp("demo")
    demo_object_set(path)
    return load_object_set(path)


def sample_texture(mesh, uv):
    """Nearest texels (N, 3) at (N, 2) coordinates whose origin is the lower left corner."""
    height, width = mesh.texture.shape[:2]
    columns = np.clip(np.floor(uv[:, 0] * width).astype(int), 0, width - 1)
    rows = np.clip(np.floor((1 - uv[:, 1]) * height).astype(int), 0, height - 1)
    return mesh.texture[rows, columns]


def triangle_points(mesh, weights=(0.5, 0.3, 0.2)):
    """Points inside all triangles: positions, texture coordinates, normals."""
    return tuple(
        np.einsum("k,fkd->fd", weights, values[mesh.faces])
        for values in (mesh.vertices, mesh.uv, mesh.normals)
    )


def face_of_each(mesh, solid):
    """Which face of the solid each triangle belongs to."""
    points, _, normals = triangle_points(mesh)
    distance = [
        np.abs((points - solid.face(i).origin / 1000) @ np.cross(*solid.face(i).axes))
        + np.linalg.norm(normals - np.cross(*solid.face(i).axes), axis=1)
        for i in range(len(solid.faces))
    ]
    assert np.max(np.min(distance, axis=0)) < 1e-9
    return np.argmin(distance, axis=0)


@pytest.mark.parametrize("solid", SOLIDS.values(), ids=SOLIDS)
def test_faces_are_convex_flat_and_turned_outward(solid):
    for index in range(len(solid.faces)):
        face = solid.face(index)
        normal = np.cross(*face.axes)
        assert normal @ face.corners.mean(axis=0) > 0
        np.testing.assert_allclose((face.corners - face.origin) @ normal, 0, atol=1e-9)
        edges = np.roll(face.outline, -1, axis=0) - face.outline
        following = np.roll(edges, -1, axis=0)
        assert np.all(edges[:, 0] * following[:, 1] - edges[:, 1] * following[:, 0] > 0)
        np.testing.assert_allclose(face.outline.min(axis=0), 0, atol=1e-9)


@pytest.mark.parametrize("solid", SOLIDS.values(), ids=SOLIDS)
def test_solids_stand_on_their_base_about_the_centre_of_their_box(solid):
    base = solid.face(0)
    assert np.cross(*base.axes)[2] == pytest.approx(-1)
    np.testing.assert_allclose(base.corners[:, 2], solid.vertices[:, 2].min())
    np.testing.assert_allclose(solid.vertices.min(axis=0), -solid.vertices.max(axis=0), atol=1e-9)


def test_an_edge_belongs_to_two_faces_that_run_through_it_in_opposite_ways():
    for solid in SOLIDS.values():
        directed = [
            edge for face in solid.faces for edge in zip(face, face[1:] + face[:1], strict=True)
        ]
        assert len(set(directed)) == len(directed)
        assert {(b, a) for a, b in directed} == set(directed)


def test_a_tessellated_square_keeps_its_area_and_splits_its_edges():
    square = np.array([[0.0, 0], [10, 0], [10, 10], [0, 10]])
    points, triangles = tessellate(square, 4)
    a, b, c = (points[triangles[:, k]] for k in range(3))
    areas = ((b - a)[:, 0] * (c - a)[:, 1] - (b - a)[:, 1] * (c - a)[:, 0]) / 2
    assert np.all(areas > 0)
    assert areas.sum() == pytest.approx(100)
    bottom = np.sort(points[points[:, 1] == 0, 0])
    np.testing.assert_allclose(bottom, [0, 2.5, 5, 7.5, 10])
    assert len(np.unique(np.round(points, 6), axis=0)) == len(points)


def test_the_meshes_have_the_surface_and_volume_of_the_solids(meshes):
    cube = meshes["cube"].vertices[meshes["cube"].faces]
    areas = np.linalg.norm(np.cross(cube[:, 1] - cube[:, 0], cube[:, 2] - cube[:, 0]), axis=1) / 2
    assert areas.sum() == pytest.approx(6 * 0.1**2)
    volumes = {
        "cube": 1000,
        "cuboid": 14 * 9 * 6,
        "wedge": np.sqrt(3) / 4 * 10**2 * 13,
        "pyramid": 11 * 11 * 11.5 / 3,
        "hexagon": 1.5 * np.sqrt(3) * 5.5**2 * 11,
        "house": (9 * 6.5 + 9 * 5 / 2) * 11,
        "tetrahedron": 15.5**3 / (6 * np.sqrt(2)),
    }
    for name, cubic_centimetres in volumes.items():
        a, b, c = (meshes[name].vertices[meshes[name].faces[:, k]] for k in range(3))
        volume = np.sum(a * np.cross(b, c)) / 6
        assert volume * 1e6 == pytest.approx(cubic_centimetres), name


def test_edges_of_the_meshes_are_at_most_a_centimetre(meshes):
    for name, mesh in meshes.items():
        assert pieces_per_edge(SOLIDS[name]) >= 10
        corners = mesh.vertices[mesh.faces]
        edges = np.linalg.norm(corners - np.roll(corners, 1, axis=1), axis=2)
        assert edges.max() <= 0.0101, name


def test_textures_are_mapped_true_to_shape_and_not_mirrored(meshes):
    for name, mesh in meshes.items():
        solid, uv = SOLIDS[name], mesh.uv[mesh.faces] * 1024
        faces = face_of_each(mesh, solid)
        scales = []
        for index in range(len(solid.faces)):
            flat = mesh.vertices[mesh.faces[faces == index]] * 1000 @ solid.face(index).axes.T
            du, dx = np.diff(uv[faces == index], axis=1), np.diff(flat, axis=1)
            scales.append(np.sum(du * dx) / np.sum(dx**2))
            moved = uv[faces == index] - scales[-1] * flat
            np.testing.assert_allclose(moved, np.broadcast_to(moved[0, 0], moved.shape), atol=1e-6)
        np.testing.assert_allclose(scales, scales[0])
        assert scales[0] > 2.5, "texels per millimetre"


def test_no_two_faces_share_texels(meshes):
    for name, mesh in meshes.items():
        faces = face_of_each(mesh, SOLIDS[name])
        boxes = []
        for index in range(len(SOLIDS[name].faces)):
            uv = mesh.uv[mesh.faces[faces == index]].reshape(-1, 2)
            assert uv.min() > 0
            assert uv.max() < 1
            boxes.append((uv.min(axis=0), uv.max(axis=0)))
        for i, (low, high) in enumerate(boxes):
            for other_low, other_high in boxes[:i]:
                assert np.any((high < other_low) | (other_high < low)), name


def test_every_face_to_be_learned_has_its_own_corner_colours():
    colours = [
        face_style(solid, index).corner_colours.reshape(4, 3)
        for name, solid in SOLIDS.items()
        if name != "hexagon"
        for index in range(len(solid.faces))
    ]
    for i, corners in enumerate(colours):
        contrast = np.linalg.norm(corners[:, None] - corners[None], axis=2)
        assert contrast[np.triu_indices(4, 1)].min() > 60
        for other in colours[:i]:
            assert np.abs(corners - other).max() > 5


def test_faces_of_one_object_differ_at_every_place():
    for solid in SOLIDS.values():
        styles = [face_style(solid, index) for index in range(len(solid.faces))]
        if not solid.rotations:
            assert len({style.glyph for style in styles}) == len(styles)
            for i, style in enumerate(styles):
                for other in styles[:i]:
                    difference = np.linalg.norm(style.corner_colours - other.corner_colours, axis=2)
                    assert difference.min() > 40


def test_objects_have_patterns_of_their_own():
    patterns = [face_style(solid, len(solid.faces) - 1).pattern for solid in SOLIDS.values()]
    assert len(set(patterns)) == len(patterns)


def test_the_hexagon_looks_the_same_after_each_of_its_turns(meshes):
    mesh = meshes["hexagon"]
    transforms = symmetries_of(SOLIDS["hexagon"]).discrete
    assert len(transforms) == 5
    points, uv, normals = triangle_points(mesh)
    colours = sample_texture(mesh, uv).astype(float)
    tree = cKDTree(np.hstack([points, normals]))
    for transform in transforms:
        turn = transform[:3, :3].T
        distance, match = tree.query(np.hstack([points @ turn, normals @ turn]))
        assert distance.max() < 1e-9
        different = np.abs(colours - colours[match]).max(axis=1) > 12
        # The edges of a pattern fall on other texels after a turn.
        assert different.mean() < 0.03


def test_a_turn_of_30_degrees_shows_on_the_hexagon(meshes):
    mesh = meshes["hexagon"]
    points, uv, normals = triangle_points(mesh)
    top = normals[:, 2] > 0.9
    colours = sample_texture(mesh, uv).astype(float)[top]
    c, s = np.cos(np.pi / 6), np.sin(np.pi / 6)
    turned = points[top] @ np.array([[c, s, 0], [-s, c, 0], [0, 0, 1]])
    distance, match = cKDTree(points[top]).query(turned)
    near = distance < 0.003
    different = np.abs(colours - colours[match]).max(axis=1) > 12
    assert near.sum() > 50
    assert different[near].mean() > 0.2


def test_the_object_set_describes_the_solids(demo_set):
    assert [obj.name for obj in demo_set.objects] == list(SOLIDS)
    for class_id, obj in enumerate(demo_set.objects, start=1):
        solid = SOLIDS[obj.name]
        assert (obj.class_id, obj.bop_id) == (class_id, class_id)
        distances = np.linalg.norm(solid.vertices[:, None] - solid.vertices[None], axis=2)
        assert obj.diameter == pytest.approx(distances.max() / 1000)
        assert 0.14 <= obj.diameter <= 0.19
        np.testing.assert_allclose(obj.keypoints[0], 0, atol=1e-12)
        np.testing.assert_allclose(obj.box_max, np.ptp(solid.vertices, axis=0) / 2000)
        assert len(obj.symmetries.discrete) == len(solid.rotations)
        spread = np.linalg.norm(obj.keypoints[:, None] - obj.keypoints[None], axis=2)
        assert spread[np.triu_indices(9, 1)].min() > 0.03
        mesh = demo_set.mesh(obj)
        assert mesh.texture.shape == (1024, 1024, 3)
        on_mesh = np.linalg.norm(obj.keypoints[1:, None] - mesh.vertices[None], axis=2).min(axis=1)
        assert on_mesh.max() < 1e-7


def test_the_cube_has_its_corners_as_keypoints(demo_set):
    cube = demo_set.objects[0]
    np.testing.assert_allclose(np.abs(cube.keypoints[1:]), 0.05)
    assert len(np.unique(np.sign(cube.keypoints[1:]), axis=0)) == 8


def test_the_meshes_come_out_the_same_every_time(meshes):
    again = demo_mesh(SOLIDS["wedge"])
    for field in ("vertices", "faces", "normals", "uv", "texture"):
        np.testing.assert_array_equal(getattr(again, field), getattr(meshes["wedge"], field))
