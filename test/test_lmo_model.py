"""The shipped LINEMOD-Occluded model on real photos: it is what its card says, roughly."""

from dataclasses import replace

import pytest

from casapose_ros.bundle import load_bundle
from casapose_ros.data.bop import BopDataset
from casapose_ros.estimator import PoseEstimator
from casapose_ros.evaluation.datasets import load_references, read_frame
from casapose_ros.training.validation import validate


@pytest.fixture(scope="module")
def measure(repository, shared_dir):
    data = shared_dir / "data" / "lmo"
    if not data.is_dir():
        pytest.skip("LM-O is not at ../shared/data/lmo")
    bundle = load_bundle(repository / "models" / "lmo8")
    references = load_references(data, bundle.objects, {obj.bop_id for obj in bundle.objects})
    frames = [read_frame(frame, bundle.objects) for frame in BopDataset(data, "test")]
    estimator = PoseEstimator.load(bundle.path)

    def run(**changes):
        changed = estimator.with_config(replace(bundle.estimator, **changes))
        return validate(changed, frames, references)

    return run


def test_poses_of_real_objects(measure):
    found, plain = measure(), measure(refinement="none")
    assert found.recall_add_10 > 0.12 and found.recall_add_20 > 0.22
    assert found.median_keypoint_error < 12
    assert found.recall_add_20 > plain.recall_add_20 + 0.03
