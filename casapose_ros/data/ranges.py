"""Checks that settings made of ranges and probabilities have in common."""

from __future__ import annotations

from casapose_ros.errors import ConfigError


def check_ranges(config: object) -> None:
    """Refuse a settings dataclass with a reversed range or a probability outside 0..1.

    Raises:
        ConfigError: Names the entry.
    """
    for name, value in vars(config).items():
        is_range = isinstance(value, tuple) and len(value) == 2 and not isinstance(value[0], str)
        if is_range and not value[0] <= value[1]:  # written so that NaN fails
            raise ConfigError(f"{name}: the lower end of {list(value)} is above the upper end")
        if name.endswith("probability") and not 0 <= value <= 1:
            raise ConfigError(f"{name}: expected 0 to 1, got {value}")
