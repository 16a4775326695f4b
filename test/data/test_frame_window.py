"""Frames on the fly: a function of the step, rendered by any number of processes."""

import os
from dataclasses import replace

import numpy as np
import pytest
from rendered import SMALL_SCENES, require_gl, small_object_set, small_props

from casapose_ros.data import props
from casapose_ros.data.bop_writer import BopWriter
from casapose_ros.data.frame_window import FrameMaker, FrameWindow, WindowConfig
from casapose_ros.data.render_job import RenderJob
from casapose_ros.errors import DatasetError, RenderError

SIZE = (80, 64)


class Numbered(FrameMaker):
    """Makes frames that show their number, without OpenGL."""

    def frames(self, indices):
        for index in indices:
            yield NumberedFrame(index)


class NumberedFrame:
    def __init__(self, index):
        self.image = np.full((2, 2, 3), index)
        self.labels = self.image[..., 0]
        self.keypoints = np.zeros((1, 1, 9, 2))
        self.classes = np.ones(1, np.uint8)


class Dying(FrameMaker):
    def frames(self, indices):
        os._exit(9)


class Failing(FrameMaker):
    def frames(self, indices):
        raise OSError("no graphics today")
        yield


def job(path, seed=0, frames=1):
    return RenderJob(path, SMALL_SCENES, frames, seed, BopWriter(path, "train_pbr"))


def window(tmp_path, maker=Numbered, processes=2, config=WindowConfig(6, 0.5)):  # noqa: B008
    made = maker((job(tmp_path),), (), (160, 120), False)
    return FrameWindow(made, config, processes)


def numbers(frames):
    return [int(image[0, 0, 0]) for image in frames.images]


def test_the_window_moves_on_with_the_steps(tmp_path):
    with window(tmp_path) as frames:
        assert numbers(frames.at(0)) == [0, 1, 2, 3, 4, 5]
        assert numbers(frames.at(1)) == [0, 1, 2, 3, 4, 5]
        assert numbers(frames.at(7)) == [3, 4, 5, 6, 7, 8]
        assert numbers(frames.at(2)) == [1, 2, 3, 4, 5, 6]  # batches are made side by side
        assert len(frames.at(500)) == 6
        assert len(frames._frames) <= 6 + 64 / 2  # the old ones are gone
    assert frames.scale == 1.0


def test_a_run_that_goes_on_sees_the_same_window(tmp_path):
    with window(tmp_path, processes=1) as frames:
        assert numbers(frames.at(301)) == list(range(150, 156))


def test_processes_that_die_or_fail_are_noticed(tmp_path):
    for maker, message in ((Dying, r"died \(exit code 9"), (Failing, "no graphics today")):
        with window(tmp_path, maker, 1) as frames, pytest.raises(RenderError, match=message):
            frames.at(0)


def test_another_aspect_ratio_is_refused(tmp_path):
    maker = FrameMaker((job(tmp_path),), (), (64, 64), False)
    with pytest.raises(DatasetError, match="a scenario's camera: 160x120"):
        FrameWindow(maker, WindowConfig(), 1)


def test_scenarios_have_their_shares(tmp_path):
    maker = FrameMaker((job(tmp_path, frames=300), job(tmp_path, frames=100)), (), SIZE, False)
    drawn = [maker.job_of(i) for i in range(1000)]
    assert np.mean(drawn) == pytest.approx(0.25, abs=0.05)


@pytest.mark.parametrize("instances", [1, 2])
def test_rendered_frames_have_their_truth(tmp_path, monkeypatch, instances):
    require_gl()
    monkeypatch.setattr(props, "make_props", lambda seed: small_props())
    objects = small_object_set(tmp_path).objects
    scenes = replace(SMALL_SCENES, instances_per_object=(instances, instances))
    jobs = tuple(replace(job(tmp_path, seed), config=scenes) for seed in (0, 1))
    maker = FrameMaker(jobs, objects[:2], (80, 60), False)
    first = list(maker.frames(range(6)))
    assert len({maker.job_of(i) for i in range(6)}) == 2
    for frame in first:
        assert frame.image.shape == (60, 80, 3)
        assert frame.classes.shape == (2 + maker.further,) and frame.classes.max() == 2
        for number in np.unique(frame.labels[frame.labels > 0]):
            assert frame.classes[number - 1] > 0
            rows, columns = np.nonzero(frame.labels == number)
            centre = frame.keypoints[number - 1, 0, 0]
            assert np.linalg.norm(centre - (columns.mean(), rows.mean())) < 15
    assert np.any([frame.labels.max() > 2 for frame in first]) == (instances > 1)
    # Any process renders a frame alike, whatever it rendered before.
    for frame, again in zip(first[4:], maker.frames([4, 5]), strict=True):
        for name in ("image", "labels", "keypoints", "classes"):
            np.testing.assert_array_equal(getattr(frame, name), getattr(again, name))
