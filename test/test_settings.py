"""Settings of the estimator: strict values, strict names."""

import pytest

from casapose_ros.config import differences, from_dict, to_dict
from casapose_ros.errors import ConfigError
from casapose_ros.settings import EstimatorConfig


def test_round_trip_through_plain_values():
    config = EstimatorConfig(component="all", objects=("a", "b"), network_size="320x240")
    assert from_dict(EstimatorConfig, to_dict(config)) == config


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"component": "biggest"}, "largest, second, all"),
        ({"max_instances": 0}, "max_instances must be 1 to 100, got 0"),
        ({"keypoint_method": "DKR"}, "dkr, ransac"),
        ({"refinement": "mask"}, "unknown refinement 'mask'; known: none, outline"),
        ({"outline_weight": 0.0}, "outline_weight must be positive, got 0.0"),
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


@pytest.mark.parametrize(
    ("before", "now", "expected"),
    [
        ({"a": 1, "b": {"c": [1, 2]}}, {"b": {"c": [1, 2]}, "a": 1}, []),
        ({"b": {"c": [1, 2], "d": 1}}, {"b": {"c": [1, 3], "d": 1}}, ["b.c.1: 2 there, 3 here"]),
        ({"a": [1]}, {"a": [1, 2]}, ["a: [1] there, [1, 2] here"]),
        ({"a": 1}, {"b": "x"}, ["a: 1 there, None here", "b: None there, 'x' here"]),
        ({"a": {"b": 1}}, {"a": None}, ["a: {'b': 1} there, None here"]),
    ],
)
def test_differences_are_named_where_they_are(before, now, expected):
    assert differences(before, now) == expected


def test_long_values_are_cut():
    (told,) = differences({"a": "x" * 1000}, {"a": 1})
    assert len(told) < 100 and "... there" in told
