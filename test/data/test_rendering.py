from dataclasses import replace
from pathlib import Path

import moderngl
import numpy as np
import pytest
from exact_fields import random_pose, silhouette
from rendered import box_mesh, require_gl

from casapose_ros.data.clip_space import projection
from casapose_ros.data.meshes import Mesh, load_mesh
from casapose_ros.data.object_sets import describe_object
from casapose_ros.data.rendering import NO_BOX, Renderer, mask_box
from casapose_ros.data.stage import Instance, Lamp, Material, Sheet, Stage
from casapose_ros.errors import RenderError
from casapose_ros.geometry import project, rotation_from_vector
from casapose_ros.types import CameraModel

CAMERA = CameraModel(np.array([[150, 0, 83.3], [0, 140, 55.1], [0, 0, 1]]), 160, 120)
BOX = (0.12, 0.08, 0.06)
OFFSET = (0.01, -0.02, 0.015)
FACING = np.diag([1.0, -1.0, -1.0])  # the object's +z looks at the camera, its +y is up
QUAD = np.array([(-0.1, -0.1, 0), (0.1, -0.1, 0), (0.1, 0.1, 0), (-0.1, 0.1, 0)])


def quad(texture=None, colours=None) -> Mesh:
    uv = None if texture is None else QUAD[:, :2] / 0.2 + 0.5
    faces = np.array([(0, 1, 2), (0, 2, 3)], dtype=np.int32)
    return Mesh(QUAD, faces, np.tile([0.0, 0, 1], (4, 1)), uv, texture, colours)


def plain(*rgb: int, **more) -> Material:
    return Material(texture=np.full((4, 4, 3), rgb, np.uint8), **more)


def stage(*instances: Instance, lamps=(), ambient=1.0, floor=()) -> Stage:
    """Things before a black background; full ambient light shows colours as they are."""
    return Stage(
        instances=instances,
        floor=floor,
        lamps=lamps,
        up=np.array([0.0, -1.0, 0.0]),
        focus=np.array([0.0, 0.0, 0.5]),
        sky=np.full(3, ambient),
        ground=np.full(3, ambient),
        background=plain(0, 0, 0),
    )


def at(mesh: str, x=0.0, y=0.0, z=0.5, R=FACING, scale=1.0, **material) -> Instance:
    material = Material(**({"specular": 0.0} | material))
    return Instance(mesh, R, np.array([x, y, z]), np.array([scale, scale, 1.0]), material)


@pytest.fixture(scope="module")
def renderer():
    require_gl()
    corners = np.uint8([[255, 0, 0], [0, 255, 0], [0, 0, 255], [255, 255, 255]])
    texture = np.uint8([[[255, 0, 0], [0, 255, 0]], [[0, 0, 255], [255, 255, 255]]])
    meshes = {
        "box": box_mesh(BOX, offset=OFFSET),
        "quad": quad(colours=np.full((4, 3), 200, np.uint8)),
        "corners": quad(colours=corners),
        "textured": quad(texture.repeat(32, axis=0).repeat(32, axis=1)),
    }
    with Renderer(160, 120, meshes) as made:
        yield made


def test_masks_are_those_of_the_projection(renderer):
    obj = describe_object(box_mesh(BOX, offset=OFFSET).vertices, "box", 1, 1)
    corners = np.array(np.meshgrid(*zip(obj.box_min, obj.box_max, strict=True))).reshape(3, -1).T
    obj = replace(obj, keypoints=np.vstack([np.zeros(3), corners]))
    rng = np.random.default_rng(0)
    for _ in range(30):
        R, t = random_pose(rng, near=0.25, far=0.6)
        drawn = renderer.draw(stage(Instance("box", R, t)), CAMERA).labels == 1
        exact = silhouette(obj, R, t, CAMERA)
        # Only pixels whose centre lies within rounding of the outline may differ.
        assert np.sum(drawn != exact) <= 2
        assert np.sum(exact) > 150


def test_half_pixel_of_mask_and_colour(renderer):
    rng = np.random.default_rng(0)
    errors = []
    for _ in range(60):
        R = rotation_from_vector(np.array([0, 0, rng.uniform(0, 3)]))
        instance = at("quad", *rng.uniform(-0.05, 0.05, 2), R=R)
        drawing = renderer.draw(stage(instance), CAMERA)
        centre = project(np.zeros((1, 3)), R, instance.t_ref_obj, CAMERA)[0]
        rows, columns = np.nonzero(drawing.labels == 1)
        weight = drawing.image[..., 0].astype(float)
        y, x = np.mgrid[:120, :160] + 0.5
        bright = (weight * x).sum() / weight.sum(), (weight * y).sum() / weight.sum()
        errors.append([columns.mean() + 0.5, rows.mean() + 0.5, *bright] - np.tile(centre, 2))
    assert np.abs(np.mean(errors, axis=0)).max() < 0.02
    assert np.std(errors, axis=0)[:2].max() < 0.08
    assert np.std(errors, axis=0)[2:].max() < 0.04  # between the samples


def test_colour_is_antialiased_and_labels_are_not(renderer):
    R = rotation_from_vector(np.array([0, 0, 0.3]))
    drawing = renderer.draw(stage(at("quad", R=R)), CAMERA)
    assert set(np.unique(drawing.labels)) == {0, 1}
    partial = (drawing.image[..., 0] > 20) & (drawing.image[..., 0] < 180)
    assert 100 < partial.sum() < 400


def test_depth_of_a_parallel_square_is_exact(renderer):
    parallel = stage(at("quad", z=0.437))
    labels, depth = renderer.draw(parallel, CAMERA).labels, renderer.depth(parallel, CAMERA)
    assert np.abs(depth[labels == 1] - 0.437).max() < 1e-6
    assert (depth[labels == 0] == 0).all()


def test_depth_of_a_tilted_square_is_on_its_plane(renderer):
    R = rotation_from_vector(np.array([0.7, 0.3, 0]))
    instance = at("quad", R=R)
    depth = renderer.depth(stage(instance), CAMERA)
    rows, columns = np.nonzero(renderer.draw(stage(instance), CAMERA).labels)
    rays = np.linalg.solve(CAMERA.K, np.stack([columns, rows, np.ones(len(rows))]))
    points = rays.T * depth[rows, columns][:, None]
    assert np.abs((points - instance.t_ref_obj) @ R[:, 2]).max() < 1e-5


def test_nearer_instance_hides_the_other_in_any_order(renderer):
    near, far = at("quad", x=0.05, z=0.4), at("quad", z=0.5)
    one = renderer.draw(stage(near, far), CAMERA)
    two = renderer.draw(stage(far, near), CAMERA)
    assert (one.labels == 1).sum() > (one.labels == 2).sum() > 0
    assert np.array_equal(one.labels == 1, two.labels == 2)


def test_vertex_colours(renderer):
    image = renderer.draw(stage(at("corners")), CAMERA).image
    inside = np.array([[-0.09, -0.09, 0], [0.09, -0.09, 0], [0.09, 0.09, 0], [-0.09, 0.09, 0]])
    pixels = project(inside, FACING, [0, 0, 0.5], CAMERA).astype(int)
    red, green, blue, white = image[pixels[:, 1], pixels[:, 0]].astype(int)
    assert red[0] > 220 and red[1] < 50
    assert green[1] > 220 and green[2] < 50
    assert blue[2] > 220 and blue[0] < 50
    assert white.min() > 220


def test_texture_stands_upright(renderer):
    image = renderer.draw(stage(at("textured")), CAMERA).image
    quarter = np.array([[-0.05, 0.05, 0], [0.05, 0.05, 0], [-0.05, -0.05, 0], [0.05, -0.05, 0]])
    pixels = project(quarter, FACING, [0, 0, 0.5], CAMERA).astype(int)
    found = image[pixels[:, 1], pixels[:, 0]]
    expected = [[255, 0, 0], [0, 255, 0], [0, 0, 255], [255, 255, 255]]
    assert np.abs(found.astype(int) - expected).max() <= 2


def test_own_texture_replaces_the_meshs(renderer):
    blue = np.full((8, 8, 3), (0, 0, 250), np.uint8)
    image = renderer.draw(stage(at("textured", texture=blue)), CAMERA).image
    assert np.abs(image[60, 80].astype(int) - [0, 0, 250]).max() <= 2
    again = renderer.draw(stage(at("textured")), CAMERA).image
    assert again[50, 75, 0] > 250


def test_lamp_in_front_is_brighter_than_from_the_side(renderer):
    def brightness(position) -> float:
        lamp = Lamp(np.array(position), np.full(3, 0.8))
        image = renderer.draw(stage(at("quad"), lamps=(lamp,), ambient=0.1), CAMERA).image
        return image[60, 80, 0]

    front, slanted, behind = (brightness(p) for p in ([0, 0, -3], [3, 0, -1], [0, 0, 3]))
    assert front > slanted + 20 > behind + 20


def test_lamp_casts_a_shadow(renderer):
    wall = (Sheet(FACING, np.array([0, 0, 0.8]), np.ones(2), plain(200, 200, 200, specular=0.0)),)
    screen = at("quad", x=0.02, z=0.5, scale=0.5)
    lamps = (Lamp(np.array([1.0, 0.0, -3.0]), np.full(3, 0.8)),)
    free, shaded = (
        renderer.draw(
            replace(stage(*things, lamps=lamps, ambient=0.1, floor=wall), up=FACING[:, 2]), CAMERA
        )
        for things in ((), (screen,))
    )
    loss = free.image[..., 0].astype(int) - shaded.image[..., 0]
    rows, columns = np.nonzero((loss > 60) & (shaded.labels == 0))
    # On the line from the lamp through the middle of the screen to the wall.
    shadow = lamps[0].position + (screen.t_ref_obj - lamps[0].position) * 3.8 / 3.5
    expected = project(shadow[None], np.eye(3), np.zeros(3), CAMERA)[0]
    assert len(rows) > 200
    assert abs(rows.mean() + 0.5 - expected[1]) < 1
    # The screen itself hides the right part of its shadow.
    assert columns.min() < expected[0] < columns.max() + 12


def white_sheet(z=0.8, size=1.0, R=FACING) -> Sheet:
    return Sheet(R, np.array([0, 0, z]), np.full(2, size), plain(250, 250, 250, specular=0.0))


@pytest.mark.parametrize("size", [0.3, 0.6, 0.9, 3.0])
def test_floor_hides_the_background_as_far_as_it_goes(renderer, size):
    empty = replace(stage(floor=(white_sheet(size=size),)), up=FACING[:, 2])
    image = renderer.draw(empty, CAMERA).image
    depth = renderer.depth(empty, CAMERA)
    half = np.array([CAMERA.K[0, 0], CAMERA.K[1, 1]]) * size / 2 / 0.8
    low = np.maximum(CAMERA.K[:2, 2] - half, [-0.5, -0.5])
    high = np.minimum(CAMERA.K[:2, 2] + half, [159.5, 119.5])
    covered = np.prod(high - low)
    assert abs((image[..., 0] > 125).sum() - covered) < 0.02 * covered + 1
    assert abs((depth > 0).sum() - covered) < 0.02 * covered + 1
    assert np.abs(depth[depth > 0] - 0.8).max() < 1e-6


def test_sheets_lie_over_each_other_in_order(renderer):
    red = replace(white_sheet(size=0.2), material=plain(250, 0, 0, specular=0.0))
    floor = (white_sheet(size=3.0), red)
    image = renderer.draw(replace(stage(floor=floor), up=FACING[:, 2]), CAMERA).image
    assert image[60, 80, 1] < 20 and image[60, 80, 0] > 200
    assert image[5, 5].min() > 200


def test_things_above_the_floor_darken_it(renderer):
    """Even without lamps: what is near a thing sees less of the sky."""
    floor = (white_sheet(z=0.6, size=3.0),)
    free, crowded = (
        renderer.draw(replace(stage(*things, floor=floor), up=FACING[:, 2]), CAMERA)
        for things in ((), (at("box", z=0.55),))
    )
    loss = free.image[..., 0].astype(int) - crowded.image[..., 0]
    loss[crowded.labels > 0] = 0
    rows, columns = np.nonzero(crowded.labels)
    beside = loss[rows.min() : rows.max(), columns.max() + 3]
    assert beside.mean() > 15
    assert np.abs(loss[:, -5:]).max() < 3


def test_second_lamp_casts_a_shadow_too(renderer):
    floor = (white_sheet(z=0.8, size=3.0),)
    lamps = tuple(Lamp(np.array([x, 0.0, -3.0]), np.full(3, 0.5)) for x in (2.0, -2.0))
    both = replace(stage(at("quad", scale=0.3), lamps=lamps, ambient=0.05, floor=floor))
    image = renderer.draw(replace(both, up=FACING[:, 2]), CAMERA).image[55, :, 0].astype(int)
    assert image[:60].min() < image[5] - 30 and image[107:].min() < image[-5] - 30


def test_recolouring_and_shine(renderer):
    turned = at("quad", recolour=np.array([[0, 0, 0], [0, 1, 0], [0, 0, 0.5]]))
    pixel = renderer.draw(stage(turned), CAMERA).image[60, 80]
    assert pixel[0] == 0 and abs(int(pixel[1]) - 200) < 3 and abs(int(pixel[2]) - 100) < 3
    lamps = (Lamp(np.array([0.0, 0, -0.5]), np.full(3, 0.3)),)
    dull, glossy = (
        renderer.draw(stage(at("quad", specular=s), lamps=lamps, ambient=0.1), CAMERA).image
        for s in (0.0, 0.8)
    )
    gain = glossy[..., 0].astype(int) - dull[..., 0]
    assert gain[55, 83] > 40 and gain[55, 83] > gain[30, 55] + 8


def test_silhouette_counts_what_is_hidden_and_outside(renderer):
    middle = renderer.silhouette(at("quad"), CAMERA)
    drawn = renderer.draw(stage(at("quad", z=0.4), at("quad")), CAMERA)
    alone = renderer.draw(stage(at("quad")), CAMERA).labels == 1
    assert (drawn.labels == 2).sum() == 0
    assert middle.pixels == alone.sum()
    assert middle.box == mask_box(alone)
    outside = renderer.silhouette(at("quad", x=0.25), CAMERA)
    assert abs(outside.pixels - middle.pixels) < 100
    assert outside.box[0] == middle.box[0] + 75
    assert outside.box[0] + outside.box[2] > CAMERA.width


def test_silhouette_of_something_far_outside(renderer):
    assert renderer.silhouette(at("quad", x=50), CAMERA).pixels == 0
    assert renderer.silhouette(at("quad", z=-1), CAMERA).box == NO_BOX


def test_empty_stage_shows_the_background(renderer):
    empty = replace(stage(), background=plain(10, 200, 30))
    drawing = renderer.draw(empty, CAMERA)
    assert (drawing.image == (10, 200, 30)).all()
    assert drawing.labels.max() == 0


def test_two_renderers_do_not_disturb_each_other(renderer):
    before = renderer.draw(stage(at("quad")), CAMERA)
    with Renderer(40, 30, {"box": box_mesh()}) as other:
        camera = CameraModel(np.array([[40, 0, 19.5], [0, 40, 14.5], [0, 0, 1]]), 40, 30)
        other.draw(stage(at("box")), camera)
        after = renderer.draw(stage(at("quad")), CAMERA)
    assert np.array_equal(before.image, after.image)
    assert np.array_equal(before.labels, renderer.draw(stage(at("quad")), CAMERA).labels)


def test_moved_stage_looks_the_same_from_a_moved_camera(renderer):
    R, t = rotation_from_vector(np.array([0.3, -0.5, 0.2])), np.array([0.1, -0.3, 2.0])
    lamp = Lamp(np.array([0.5, -1.0, -0.5]), np.full(3, 0.5))
    original = stage(at("box"), at("quad", z=0.6), lamps=(lamp,), ambient=0.3)
    there_and_back = original.moved(R, t).moved(R.T, -R.T @ t)
    one, two = (renderer.draw(s, CAMERA) for s in (original, there_and_back))
    assert np.array_equal(one.labels, two.labels)
    assert np.abs(one.image.astype(int) - two.image).max() <= 1


def test_bad_requests_are_named(renderer):
    with pytest.raises(RenderError, match="no mesh 'cup'; known: box"):
        renderer.draw(stage(at("cup")), CAMERA)
    with pytest.raises(RenderError, match="160x120 px, but the camera has 80x60"):
        renderer.draw(stage(), CameraModel(CAMERA.K, 80, 60))
    distorted = replace(CAMERA, distortion=np.array([0.1, 0, 0, 0]), distortion_model="plumb_bob")
    with pytest.raises(RenderError, match="rectify"):
        renderer.draw(stage(), distorted)
    lamps = (Lamp(np.zeros(3), np.ones(3)),) * 5
    with pytest.raises(RenderError, match="4 lamps can be drawn, got 0 and 5"):
        renderer.draw(stage(lamps=lamps), CAMERA)


def test_missing_opengl_names_the_packages(monkeypatch):
    def fail(**_):
        raise Exception("(detail) libEGL.so not loaded")

    monkeypatch.setattr(moderngl, "create_context", fail)
    with pytest.raises(RenderError, match=r"libEGL.so not loaded.*apt-get install.*libegl1"):
        Renderer(8, 8, {})


def test_projection_agrees_with_geometry():
    R, t = random_pose(np.random.default_rng(1))
    points = np.random.default_rng(2).uniform(-0.1, 0.1, (20, 3))
    clip = np.c_[points @ R.T + t, np.ones(20)] @ projection(CAMERA).T
    pixels = (clip[:, :2] / clip[:, 3:] + 1) / 2 * [CAMERA.width, CAMERA.height]
    assert np.allclose(pixels, project(points, R, t, CAMERA))


def test_box_of_a_mask():
    mask = np.zeros((10, 12), bool)
    assert mask_box(mask) == NO_BOX
    mask[3:5, 7] = True
    assert mask_box(mask) == (7, 3, 1, 2)


def test_real_scan_with_vertex_colours(shared_dir: Path):
    path = shared_dir / "data" / "lmo" / "models" / "obj_000005.ply"
    if not path.is_file():
        pytest.skip("LM-O models are not at ../shared/data/lmo/models")
    require_gl()
    with Renderer(160, 120, {"can": load_mesh(path, "mm")}) as renderer:
        drawing = renderer.draw(stage(at("can")), CAMERA)
    seen = drawing.labels == 1
    assert seen.sum() > 500
    assert drawing.image[seen].std() > 10
