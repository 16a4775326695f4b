"""Settings of the estimator: strict values, strict names."""

import pytest

from casapose_ros.config import from_dict, to_dict
from casapose_ros.errors import ConfigError
from casapose_ros.settings import EstimatorConfig


def test_round_trip_through_plain_values():
    config = EstimatorConfig(component="all", objects=("a", "b"), network_size="320x240")
    assert from_dict(EstimatorConfig, to_dict(config)) == config


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"component": "biggest"}, "largest, second, all"),
        ({"keypoint_method": "DKR"}, "dkr, ransac"),
        ({"pnp": "epnp"}, "unknown pnp 'epnp'; known: weighted, iterative"),
        ({"min_pixels": 0}, "at least 1"),
        ({"min_component_pixels": -3}, "at least 1"),
        ({"score_threshold": 1.5}, "0..1"),
        ({"score_threshold": float("nan")}, "0..1"),
        ({"max_reprojection_error": 0.0}, "positive"),
        ({"covariance_scale": 0.0}, "covariance_scale must be positive, got 0.0"),
        ({"network_size": "wide"}, "WxH"),
        ({"min_pixel": 3}, "did you mean 'min_pixels'"),
        ({"min_pixels": "many"}, "expected int"),
    ],
)
def test_wrong_values_say_what_is_right(wrong, message):
    with pytest.raises(ConfigError, match=message):
        from_dict(EstimatorConfig, wrong)
