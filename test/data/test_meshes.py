import numpy as np
import pytest
import trimesh
from PIL import Image
from trimesh.visual.material import PBRMaterial
from trimesh.visual.texture import TextureVisuals

from casapose_ros.data.meshes import Mesh, largest_distance, load_mesh
from casapose_ros.data.object_sets import build_object_set
from casapose_ros.data.ply import write_ply
from casapose_ros.errors import MeshError

EDGE = 0.1


def box(edge=EDGE, at=(0.0, 0.0, 0.0)):
    mesh = trimesh.creation.box((edge, edge, edge))
    mesh.apply_translation(at)
    return mesh


def textured_quad():
    """A 10 cm square whose texture is red, green / blue, white from the top left."""
    vertices = np.array([[0, 0, 0], [0.1, 0, 0], [0.1, 0.1, 0], [0, 0.1, 0]])
    uv = np.array([[0.0, 0], [1, 0], [1, 1], [0, 1]])
    texture = (
        np.array([[[255, 0, 0], [0, 255, 0]], [[0, 0, 255], [255, 255, 255]]], dtype=np.uint8)
        .repeat(8, axis=0)
        .repeat(8, axis=1)
    )
    faces = np.array([[0, 1, 2], [0, 2, 3]], dtype=np.int32)
    return Mesh(vertices, faces, np.tile([0.0, 0, 1], (4, 1)), uv, texture)


def colour_at(mesh, vertex):
    """The texture at a vertex of the mesh, (0, 0) being the lower left corner."""
    height, width = mesh.texture.shape[:2]
    nearest = np.argmin(np.linalg.norm(mesh.vertices - vertex, axis=1))
    u, v = mesh.uv[nearest]
    return tuple(
        mesh.texture[min(int((1 - v) * height), height - 1), min(int(u * width), width - 1)]
    )


@pytest.mark.parametrize("suffix", ["ply", "obj", "stl", "glb"])
@pytest.mark.parametrize(("unit", "per_metre"), [("mm", 1000), ("cm", 100), ("m", 1)])
def test_a_cube_is_read_from_every_format_and_unit(tmp_path, suffix, unit, per_metre):
    path = tmp_path / f"cube.{suffix}"
    box(EDGE * per_metre).export(path)
    mesh = load_mesh(path, unit)
    assert mesh.diameter == pytest.approx(EDGE * np.sqrt(3), rel=1e-6)
    np.testing.assert_allclose(np.ptp(mesh.vertices, axis=0), EDGE, rtol=1e-6)
    assert len(mesh.faces) == 12
    assert mesh.faces.dtype == np.int32
    assert mesh.texture is None
    np.testing.assert_allclose(np.linalg.norm(mesh.normals, axis=1), 1)
    triangles = mesh.vertices[mesh.faces]
    outward = np.cross(triangles[:, 1] - triangles[:, 0], triangles[:, 2] - triangles[:, 0])
    assert np.all(np.sum(outward * triangles.mean(axis=1), axis=1) > 0)


def test_upper_case_suffixes_are_read(tmp_path):
    box().export(tmp_path / "cube.stl")
    (tmp_path / "cube.stl").rename(tmp_path / "CUBE.STL")
    assert len(load_mesh(tmp_path / "CUBE.STL", "m").faces) == 12


def test_a_scene_is_flattened_with_its_transforms(tmp_path):
    scene = trimesh.Scene()
    scene.add_geometry(box())
    scene.add_geometry(box(), transform=trimesh.transformations.translation_matrix([0.3, 0, 0]))
    scene.export(tmp_path / "two.glb")
    mesh = load_mesh(tmp_path / "two.glb", "m")
    np.testing.assert_allclose(mesh.vertices.min(axis=0), [-0.05, -0.05, -0.05], atol=1e-7)
    np.testing.assert_allclose(mesh.vertices.max(axis=0), [0.35, 0.05, 0.05], atol=1e-7)
    assert len(mesh.faces) == 24


def test_a_texture_in_glb_stands_upright(tmp_path):
    quad = textured_quad()
    material = PBRMaterial(baseColorTexture=Image.fromarray(quad.texture))
    trimesh.Trimesh(
        quad.vertices, quad.faces, visual=TextureVisuals(quad.uv, material), process=False
    ).export(tmp_path / "quad.glb")
    mesh = load_mesh(tmp_path / "quad.glb", "m")
    assert colour_at(mesh, [0, 0.1, 0]) == (255, 0, 0)
    assert colour_at(mesh, [0.1, 0, 0]) == (255, 255, 255)


def test_a_material_without_texture_colours_the_vertices(tmp_path):
    mesh = box()
    mesh.visual = TextureVisuals(material=PBRMaterial(baseColorFactor=[255, 0, 0, 255]))
    mesh.export(tmp_path / "red.glb")
    loaded = load_mesh(tmp_path / "red.glb", "m")
    assert loaded.texture is None
    np.testing.assert_array_equal(loaded.colours, np.tile([255, 0, 0], (len(loaded.vertices), 1)))


def test_parts_of_unlike_colouring_keep_their_colours(tmp_path):
    red, blue = box(), box(at=(0.3, 0, 0))
    red.visual = TextureVisuals(material=PBRMaterial(baseColorFactor=[255, 0, 0, 255]))
    blue.visual.vertex_colors = [0, 0, 255, 255]
    trimesh.Scene([red, blue]).export(tmp_path / "both.glb")
    mesh = load_mesh(tmp_path / "both.glb", "m")
    right = mesh.vertices[:, 0] > 0.15
    assert np.unique(mesh.colours[right], axis=0).tolist() == [[0, 0, 255]]
    assert np.unique(mesh.colours[~right], axis=0).tolist() == [[255, 0, 0]]


def test_a_textured_obj_is_read_with_its_material(tmp_path):
    Image.new("RGB", (4, 4), (10, 200, 30)).save(tmp_path / "green.png")
    (tmp_path / "quad.mtl").write_text("newmtl m\nmap_Kd green.png\n")
    (tmp_path / "quad.obj").write_text(
        "mtllib quad.mtl\nusemtl m\nv 0 0 0\nv 1 0 0\nv 1 1 0\nvt 0 0\nvt 1 0\nvt 1 1\n"
        "f 1/1 2/2 3/3\n"
    )
    mesh = load_mesh(tmp_path / "quad.obj", "m")
    assert mesh.uv.shape == (3, 2)
    np.testing.assert_array_equal(mesh.texture[0, 0], [10, 200, 30])


def test_a_textured_ply_survives_the_round_trip(tmp_path):
    quad = textured_quad()
    write_ply(tmp_path / "quad.ply", quad)
    header = (tmp_path / "quad.ply").read_bytes().split(b"end_header")[0]
    assert b"comment TextureFile quad.png" in header
    assert b"property float texture_u" in header
    mesh = load_mesh(tmp_path / "quad.ply", "mm")
    np.testing.assert_array_equal(mesh.texture, quad.texture)
    np.testing.assert_allclose(mesh.vertices[mesh.faces], quad.vertices[quad.faces], atol=1e-7)
    np.testing.assert_allclose(mesh.uv[mesh.faces], quad.uv[quad.faces], atol=1e-7)
    np.testing.assert_allclose(mesh.normals, quad.normals, atol=1e-6)
    assert colour_at(mesh, [0, 0.1, 0]) == (255, 0, 0)


def test_an_ascii_ply_as_bop_writes_it_is_read(tmp_path):
    Image.new("RGB", (2, 2), (1, 2, 3)).save(tmp_path / "obj_000001.png")
    columns = "".join(
        f"property float {name}\n"
        for name in ("x", "y", "z", "nx", "ny", "nz", "texture_u", "texture_v")
    )
    (tmp_path / "obj_000001.ply").write_text(
        "ply\nformat ascii 1.0\ncomment TextureFile obj_000001.png\nelement vertex 3\n"
        f"{columns}element face 1\nproperty list uchar int vertex_indices\nend_header\n"
        "0 0 0 0 0 1 0 0.25\n50 0 0 0 0 1 0.5 0.25\n0 50 0 0 0 1 0 1\n3 0 1 2\n"
    )
    mesh = load_mesh(tmp_path / "obj_000001.ply", "mm")
    np.testing.assert_allclose(mesh.uv[mesh.faces[0]], [[0, 0.25], [0.5, 0.25], [0, 1]])
    np.testing.assert_array_equal(mesh.texture[0, 0], [1, 2, 3])


def test_vertex_colours_survive_the_round_trip(tmp_path):
    quad = textured_quad()
    colours = np.array([[255, 0, 0], [0, 255, 0], [0, 0, 255], [9, 8, 7]], dtype=np.uint8)
    write_ply(tmp_path / "quad.ply", Mesh(quad.vertices, quad.faces, quad.normals, colours=colours))
    mesh = load_mesh(tmp_path / "quad.ply", "mm")
    np.testing.assert_array_equal(mesh.colours[mesh.faces], colours[quad.faces])
    assert mesh.texture is None


@pytest.mark.parametrize(
    ("edge", "unit", "message"),
    [
        (100.0, "m", r"173 m across; is the file in millimetres or centimetres\?"),
        (0.1, "mm", r"0\.000173 m across; is the file in metres\?"),
        (0.1, "cm", r"0\.00173 m across; is the file in metres\?"),
        (1e7, "m", r"1\.73e\+07 m across \(plausible"),
    ],
)
def test_wrong_units_are_guessed(tmp_path, edge, unit, message):
    box(edge).export(tmp_path / "mug.ply")
    with pytest.raises(MeshError, match=message):
        load_mesh(tmp_path / "mug.ply", unit)


def test_a_100_m_mug_is_said_to_be_in_millimetres(tmp_path):
    box(100 / np.sqrt(3)).export(tmp_path / "mug.stl")
    with pytest.raises(MeshError, match=r"mug\.stl.* 100 m across; is the file in millimetres"):
        load_mesh(tmp_path / "mug.stl", "m")


def test_a_point_cloud_has_no_faces(tmp_path):
    trimesh.PointCloud(np.random.default_rng(0).random((20, 3))).export(tmp_path / "cloud.ply")
    (tmp_path / "points.obj").write_text("v 0 0 0\nv 1 0 0\nv 0 1 0\n")
    for name in ("cloud.ply", "points.obj"):
        with pytest.raises(MeshError, match=f"{name}: no faces"):
            load_mesh(tmp_path / name, "m")


def test_nan_vertices_are_counted(tmp_path):
    mesh = textured_quad()
    mesh.vertices[[1, 3], 0] = [np.nan, np.inf]
    write_ply(tmp_path / "nan.ply", mesh)
    with pytest.raises(MeshError, match=r"nan\.ply: 2 of 4 vertices are NaN"):
        load_mesh(tmp_path / "nan.ply", "mm")


@pytest.mark.parametrize("suffix", ["ply", "obj", "stl", "glb"])
@pytest.mark.parametrize("content", [b"", b"garbage", bytes(range(256)) * 4])
def test_a_broken_file_is_a_mesh_error(tmp_path, suffix, content):
    path = tmp_path / f"broken.{suffix}"
    path.write_bytes(content)
    with pytest.raises(MeshError, match=str(path)):
        load_mesh(path, "m")


def test_a_truncated_file_is_a_mesh_error(tmp_path):
    box().export(tmp_path / "cube.ply")
    whole = (tmp_path / "cube.ply").read_bytes()
    (tmp_path / "cube.ply").write_bytes(whole[: len(whole) * 2 // 3])
    with pytest.raises(MeshError):
        load_mesh(tmp_path / "cube.ply", "m")


def test_vertices_without_a_face_are_no_part_of_the_object(tmp_path):
    """One far away that an editor left behind; colours stay with their vertices."""
    cube = box()
    points = np.vstack([[0.4, 0, 0], cube.vertices])
    colours = np.full((9, 4), 255, np.uint8)
    colours[1:, 0] = np.arange(8)
    trimesh.Trimesh(points, cube.faces + 1, vertex_colors=colours, process=False).export(
        tmp_path / "cube.ply"
    )
    mesh = load_mesh(tmp_path / "cube.ply", "m")
    assert len(mesh.vertices) == 8 and mesh.diameter == pytest.approx(EDGE * np.sqrt(3))
    assert np.allclose(np.linalg.norm(mesh.normals, axis=1), 1)
    for vertex, colour in zip(cube.vertices, range(8), strict=True):
        found = np.argmin(np.linalg.norm(mesh.vertices - vertex, axis=1))
        assert mesh.colours[found, 0] == colour


def test_too_few_vertices_for_keypoints_name_the_object(tmp_path):
    corners = 0.1 * np.array([(x, y, z) for x, y in ((0, 0), (1, 0), (0, 1)) for z in (0, 1)])
    wedge = trimesh.convex.convex_hull(corners)
    (tmp_path / "cad").mkdir()
    wedge.export(tmp_path / "cad" / "wedge.ply")
    with pytest.raises(MeshError, match="wedge: the mesh has 6 distinct.*subdivide its faces"):
        build_object_set(tmp_path / "cad", tmp_path / "set", "m")


def test_missing_and_foreign_files_are_mesh_errors(tmp_path):
    with pytest.raises(MeshError, match="no such mesh file"):
        load_mesh(tmp_path / "cube.ply", "m")
    (tmp_path / "cube.blend").write_bytes(b"")
    with pytest.raises(MeshError, match="unknown mesh format"):
        load_mesh(tmp_path / "cube.blend", "m")
    with pytest.raises(MeshError, match="unknown unit 'inch'"):
        load_mesh(tmp_path / "cube.ply", "inch")


def test_a_missing_texture_is_named(tmp_path):
    write_ply(tmp_path / "quad.ply", textured_quad())
    (tmp_path / "quad.png").unlink()
    with pytest.raises(MeshError, match=r"its texture quad\.png is unreadable: .*No such file"):
        load_mesh(tmp_path / "quad.ply", "mm")


def test_a_broken_texture_is_named(tmp_path):
    write_ply(tmp_path / "quad.ply", textured_quad())
    (tmp_path / "quad.png").write_bytes(b"no image")
    with pytest.raises(MeshError, match=r"its texture quad\.png is unreadable"):
        load_mesh(tmp_path / "quad.ply", "mm")


def test_the_largest_distance_of_flat_and_straight_clouds():
    rng = np.random.default_rng(1)
    flat = np.column_stack([rng.random((300, 2)), np.zeros(300)])
    brute = np.max(np.linalg.norm(flat[:, None] - flat[None], axis=2))
    assert largest_distance(flat) == pytest.approx(brute)
    assert largest_distance(np.outer(np.linspace(0, 1, 300), [1, 1, 1])) == pytest.approx(3**0.5)
    assert largest_distance(np.zeros((5, 3))) == 0
