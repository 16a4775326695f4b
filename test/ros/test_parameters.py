from dataclasses import dataclass

import pytest
from rclpy.exceptions import InvalidParameterTypeException, InvalidParameterValueException
from rclpy.node import Node
from rclpy.parameter import Parameter

from casapose_ros.errors import ConfigError
from casapose_ros.ros.node_parameters import NodeParameters
from casapose_ros.ros.parameters import check_fields, declare, parameter, read
from casapose_ros.settings import EstimatorConfig


@dataclass(frozen=True)
class Settings:
    rate: float = parameter(5.0, "Frames per second.", low=0.1, high=60.0)
    count: int = parameter(3, "How many.", low=1, high=9)
    mode: str = parameter("fast", "How.", choices=("fast", "slow"))
    names: tuple[str, ...] = parameter((), "Which.")
    path: str = parameter("", "Where.", read_only=True)

    def __post_init__(self):
        check_fields(self)
        if self.mode == "slow" and self.rate > 10:
            raise ConfigError("slow mode goes up to 10 frames per second")


@pytest.fixture
def make_node(ros):
    nodes = []

    def make(**values):
        overrides = [Parameter(name, value=value) for name, value in values.items()]
        nodes.append(Node("settings_node", parameter_overrides=overrides))
        return nodes[-1]

    yield make
    for node in nodes:
        node.destroy_node()


def change(node, **values):
    (result,) = node.set_parameters([Parameter(n, value=v) for n, v in values.items()])
    return result


def test_defaults_and_overrides(make_node):
    node = make_node(rate=7.5, names=["a", "b"])
    assert declare(node, Settings(count=4)) == Settings(rate=7.5, count=4, names=("a", "b"))


def test_descriptors_tell_type_range_and_choices(make_node):
    node = make_node()
    declare(node, Settings())
    rate, mode, path = node.describe_parameters(["rate", "mode", "path"])
    assert rate.description == "Frames per second."
    assert rate.floating_point_range[0].to_value == 60.0
    assert mode.additional_constraints == "one of: fast, slow"
    assert path.read_only and not rate.read_only


def test_changes_are_taken_on(make_node):
    node = make_node()
    declare(node, Settings())
    assert change(node, mode="slow").successful
    assert change(node, names=["a", ""]).successful
    assert read(node, Settings) == Settings(mode="slow", names=("a",))


@pytest.mark.parametrize(
    ("name", "value", "reason"),
    [
        ("rate", 61.0, "range"),
        ("rate", float("nan"), "range"),
        ("count", 0, "range"),
        ("mode", "quick", "mode must be one of fast, slow; got 'quick'"),
        ("path", "/tmp", "read-only"),
        ("count", "three", "type"),
    ],
)
def test_bad_changes_are_refused_with_the_reason(make_node, name, value, reason):
    node = make_node()
    declare(node, Settings())
    result = change(node, **{name: value})
    assert not result.successful
    assert reason in result.reason
    assert read(node, Settings) == Settings()


def test_rules_between_parameters_hold_in_one_request(make_node):
    node = make_node()
    declare(node, Settings())
    both = [Parameter("mode", value="slow"), Parameter("rate", value=20.0)]
    result = node.set_parameters_atomically(both)
    assert (result.successful, result.reason) == (
        False,
        "slow mode goes up to 10 frames per second",
    )


def test_further_rules_of_the_node(make_node):
    def check(settings):
        if "ghost" in settings.names:
            raise ConfigError("no object 'ghost'")

    node = make_node()
    declare(node, Settings(), check)
    assert change(node, names=["ghost"]).reason == "no object 'ghost'"
    with pytest.raises(ConfigError, match="ghost"):
        declare(make_node(names=["ghost"]), Settings(), check)


@pytest.mark.parametrize(
    ("values", "error"),
    [
        ({"rate": 100.0}, InvalidParameterValueException),
        ({"rate": "fast"}, InvalidParameterTypeException),
        ({"mode": "quick"}, ConfigError),
        ({"mode": "slow", "rate": 20.0}, ConfigError),
    ],
)
def test_bad_start_values_are_refused(make_node, values, error):
    with pytest.raises(error):
        declare(make_node(**values), Settings())


def test_node_parameters_start_with_the_model_s_settings():
    config = EstimatorConfig(
        min_pixels=77, keypoint_method="ransac", pnp="iterative", max_reprojection_error=3.0
    )
    parameters = NodeParameters.with_estimator(config)
    assert (parameters.min_pixels, parameters.keypoint_method) == (77, "ransac")
    assert parameters.pnp == "iterative"
    assert parameters.estimator(config) == config


@pytest.mark.parametrize(
    "values",
    [
        {"debug_keypoint": 9},
        {"score_threshold": -0.1},
        {"tf_prefix": "a b"},
        {"tf_prefix": "/a"},
        {"rectified": "yes"},
    ],
)
def test_node_parameters_refuse_nonsense(values):
    with pytest.raises(ConfigError, match=next(iter(values))):
        NodeParameters(**values)
