"""Settings of the nodes as ROS parameters: declared from a dataclass, read back into it.

Each field of a settings class is one parameter. Its metadata, made by :func:`parameter`, becomes
the ROS descriptor; ``__post_init__`` holds the rules. A set request that breaks a rule is refused
and answered with the rule, so code that reads the settings never meets a bad value.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Any, TypeVar

from rcl_interfaces.msg import (
    FloatingPointRange,
    IntegerRange,
    ParameterDescriptor,
    SetParametersResult,
)
from rclpy.node import Node
from rclpy.parameter import Parameter

from casapose_ros.errors import ConfigError

T = TypeVar("T")


def parameter(
    default: Any,
    description: str,
    *,
    low: float | None = None,
    high: float | None = None,
    choices: tuple[str, ...] = (),
    read_only: bool = False,
) -> Any:
    """A dataclass field that is also a ROS parameter.

    Args:
        default: Default value; its type is the parameter's type. A tuple of names is a list of
            strings in ROS.
        description: One sentence for ``ros2 param describe``, with the unit.
        low: Smallest allowed number.
        high: Largest allowed number.
        choices: The allowed strings.
        read_only: Whether a change would mean nothing after the node has started.
    """
    metadata = {
        "description": description,
        "range": None if low is None else (low, high),
        "choices": choices,
        "read_only": read_only,
    }
    return dataclasses.field(default=default, metadata=metadata)


def check_fields(settings: Any) -> None:
    """Hold every field of a settings object to its range and choices; for ``__post_init__``.

    Raises:
        ConfigError: A value is outside of what its field allows.
    """
    for field in dataclasses.fields(settings):
        value = getattr(settings, field.name)
        limits, choices = field.metadata["range"], field.metadata["choices"]
        if limits and not limits[0] <= value <= limits[1]:  # Written so that NaN fails.
            raise ConfigError(
                f"{field.name} must be between {limits[0]} and {limits[1]}, got {value}"
            )
        if choices and value not in choices:
            raise ConfigError(f"{field.name} must be one of {', '.join(choices)}; got {value!r}")


def declare(node: Node, defaults: T, check: Callable[[T], None] = lambda settings: None) -> T:
    """Declare every field of a settings class on a node and guard later changes.

    Args:
        node: The node that gets the parameters.
        defaults: A frozen dataclass whose fields were made by :func:`parameter`.
        check: Further rules that depend on the state of the node; raises ConfigError.

    Returns:
        The settings as given by the command line, a parameter file or the defaults.

    Raises:
        ConfigError: A given value breaks a rule of the settings class.
    """
    cls = type(defaults)
    names = {field.name for field in dataclasses.fields(cls)}
    for field in dataclasses.fields(cls):
        value = getattr(defaults, field.name)
        node.declare_parameter(field.name, _to_ros(value), _descriptor(field))
    settings = read(node, cls)
    check(settings)

    def on_set(changes: list[Parameter]) -> SetParametersResult:
        values = {c.name: _from_ros(c.value) for c in changes if c.name in names}
        try:
            check(dataclasses.replace(read(node, cls), **values))
        except ConfigError as error:
            return SetParametersResult(successful=False, reason=str(error))
        return SetParametersResult(successful=True)

    node.add_on_set_parameters_callback(on_set)
    return settings


def read(node: Node, cls: type[T]) -> T:
    """The present values of parameters that :func:`declare` declared."""
    fields = dataclasses.fields(cls)
    return cls(**{f.name: _from_ros(node.get_parameter(f.name).value) for f in fields})


def _descriptor(field: dataclasses.Field) -> ParameterDescriptor:
    limits, choices = field.metadata["range"], field.metadata["choices"]
    descriptor = ParameterDescriptor(
        name=field.name,
        description=field.metadata["description"],
        additional_constraints=f"one of: {', '.join(choices)}" if choices else "",
        read_only=field.metadata["read_only"],
    )
    if limits and isinstance(field.default, float):
        limits_message = FloatingPointRange(from_value=limits[0], to_value=limits[1])
        descriptor.floating_point_range = [limits_message]
    elif limits:
        descriptor.integer_range = [IntegerRange(from_value=limits[0], to_value=limits[1], step=1)]
    return descriptor


def _to_ros(value: Any) -> Any:
    # ROS cannot tell the type of an empty list, so no names are one empty name there.
    return (list(value) or [""]) if isinstance(value, tuple) else value


def _from_ros(value: Any) -> Any:
    return tuple(v for v in value if v) if isinstance(value, (list, tuple)) else value
