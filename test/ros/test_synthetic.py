import itertools

import numpy as np
import pytest

from casapose_ros.ros.synthetic import SCENE_SECONDS, SyntheticSource

SCENE = """
object_count: [2, 2]
objects: [cube, wedge]
distractor_count: [0, 0]
camera: {width: 160, height: 120, fx: 150, fy: 150, cx: 79.5, cy: 59.5}
centre_margin_px: 5
"""


@pytest.fixture
def make_source(tmp_path):
    scene = tmp_path / "scene.yaml"
    scene.write_text(SCENE)
    sources = []

    def make(rate=2.0, seed=3):
        sources.append(SyntheticSource("", str(scene), rate, seed))
        return sources[-1]

    yield make
    for source in sources:
        source.close()


def test_truth_fits_the_picture(make_source):
    source = make_source()
    assert (source.camera.width, source.camera.K[0, 0]) == (160, 150)
    picture = source.read()
    assert picture.image.shape == (120, 160, 3)
    assert {o.name for o in picture.truth} == {"cube", "wedge"}
    for found in picture.truth:
        assert 0 <= found.score <= 1
        assert found.t_cam_obj[2] > 0
        left, top, right, bottom = found.box
        assert 0 <= left < right <= 160 and 0 <= top < bottom <= 120
        if found.score > 0.9:
            x, y = found.keypoints[0]
            assert left < x < right and top < y < bottom


def test_instances_of_an_object_are_numbered(make_source, tmp_path):
    with (tmp_path / "scene.yaml").open("a") as scene:
        scene.write("instances_per_object: [2, 2]\ndistance_m: [0.3, 1.2]\n")
    truth = make_source().read().truth
    found = {(o.name, o.instance_id): o.t_cam_obj for o in truth}
    assert found.keys() == {(name, i) for name in ("cube", "wedge") for i in (0, 1)}
    assert np.linalg.norm(found["cube", 0] - found["cube", 1]) > 0.05


def test_same_seed_same_pictures(make_source):
    first, second, other = make_source(seed=3), make_source(seed=3), make_source(seed=4)
    for _ in range(2):
        a, b, c = first.read(), second.read(), other.read()
        np.testing.assert_array_equal(a.image, b.image)
        assert (a.image != c.image).any()


def test_camera_moves_and_then_finds_another_scene(make_source):
    rate = 1.0
    source = make_source(rate)
    pictures = [source.read() for _ in range(round(SCENE_SECONDS * rate) + 1)]
    places = [{o.name: o.t_cam_obj for o in p.truth} for p in pictures]
    steps = [np.linalg.norm(b["cube"] - a["cube"]) for a, b in itertools.pairwise(places)]
    assert min(steps) > 0
    # Within a scene the objects keep their distance from each other.
    distances = [np.linalg.norm(p["cube"] - p["wedge"]) for p in places]
    np.testing.assert_allclose(distances[:-1], distances[0], rtol=1e-6)
    assert abs(distances[-1] - distances[0]) > 1e-6
