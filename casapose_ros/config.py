"""Frozen settings and strict YAML: an unknown key is an error that names the nearest known one."""

from __future__ import annotations

import dataclasses
import difflib
import types
import typing
from pathlib import Path
from typing import Any, TypeVar

import yaml

from casapose_ros.errors import ConfigError

T = TypeVar("T")
MAX_SHOWN = 60
"""Characters of a value in a message."""


def from_dict(cls: type[T], values: dict[str, Any], where: str = "settings") -> T:
    """Build a frozen dataclass from plain values, checking names and types.

    Args:
        cls: A dataclass; nested dataclasses and tuples are filled recursively.
        values: Plain values, as YAML or JSON gives them.
        where: What to call the source in messages, for example a file name.

    Raises:
        ConfigError: A key is unknown, a value has the wrong type, or the class refuses it.
    """
    if not isinstance(values, dict):
        raise ConfigError(f"{where}: expected a mapping, got {type(values).__name__}")
    hints = typing.get_type_hints(cls)
    known = {f.name: f for f in dataclasses.fields(cls) if f.init}
    for key in values:
        if key not in known:
            near = difflib.get_close_matches(str(key), known, n=1)
            hint = f"did you mean {near[0]!r}?" if near else f"known keys: {', '.join(known)}"
            raise ConfigError(f"{where}: unknown key {key!r}; {hint}")
    filled = {k: _convert(hints[k], v, f"{where}: {k}") for k, v in values.items()}
    try:
        return cls(**filled)
    except TypeError as error:
        raise ConfigError(f"{where}: {error}") from error
    except ConfigError as error:
        raise ConfigError(f"{where}: {error}") from error


def load_yaml(cls: type[T], path: str | Path) -> T:
    """Read a YAML file into a frozen dataclass; see :func:`from_dict`."""
    path = Path(path)
    try:
        values = yaml.safe_load(path.read_text())
    except FileNotFoundError as error:
        raise ConfigError(f"{path}: no such settings file") from error
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path}: not valid YAML: {error}") from error
    return from_dict(cls, values or {}, str(path))


def to_dict(settings: Any) -> dict[str, Any]:
    """Turn a settings dataclass into plain values that YAML and JSON can hold."""
    return _plain(settings)


def differences(before: Any, now: Any, name: str = "") -> list[str]:
    """What differs between two plain values, each as ``name.of.the.key: A there, B here``.

    Args:
        before: Mappings, lists, numbers and strings, as YAML or JSON gives them: "there".
        now: The same, "here".
        name: What both are called.
    """
    if isinstance(before, dict) and isinstance(now, dict):
        pairs = [(str(key), before.get(key), now.get(key)) for key in {**before, **now}]
    elif isinstance(before, list) and isinstance(now, list) and len(before) == len(now) > 0:
        pairs = [(str(i), *pair) for i, pair in enumerate(zip(before, now, strict=True))]
    else:
        return [] if before == now else [f"{name}: {_brief(before)} there, {_brief(now)} here"]
    return [
        text
        for key, old, new in pairs
        for text in differences(old, new, f"{name}.{key}" if name else key)
    ]


def _brief(value: Any) -> str:
    text = repr(value)
    return text if len(text) < MAX_SHOWN else f"{text[: MAX_SHOWN - 3]}..."


def _convert(hint: Any, value: Any, where: str) -> Any:
    origin = typing.get_origin(hint)
    if origin in (typing.Union, types.UnionType):
        options = typing.get_args(hint)
        if value is None and type(None) in options:
            return None
        (hint,) = (o for o in options if o is not type(None))
        return _convert(hint, value, where)
    if dataclasses.is_dataclass(hint):
        return value if isinstance(value, hint) else from_dict(hint, value, where)
    if origin is tuple:
        return _convert_tuple(typing.get_args(hint), value, where)
    if origin is dict:
        return _convert_dict(typing.get_args(hint), value, where)
    if hint is float and isinstance(value, int) and not isinstance(value, bool):
        return float(value)
    if hint is Any or (isinstance(value, hint) and not (hint is int and isinstance(value, bool))):
        return value
    raise ConfigError(f"{where}: expected {hint.__name__}, got {type(value).__name__} ({value!r})")


def _convert_dict(args: tuple[Any, Any], value: Any, where: str) -> dict[Any, Any]:
    if not isinstance(value, dict):
        raise ConfigError(f"{where}: expected a mapping, got {type(value).__name__} ({value!r})")
    of_key, of_value = args
    return {
        _convert(of_key, key, f"{where}: key"): _convert(of_value, item, f"{where}: {key}")
        for key, item in value.items()
    }


def _convert_tuple(args: tuple[Any, ...], value: Any, where: str) -> tuple[Any, ...]:
    if not isinstance(value, (list, tuple)):
        raise ConfigError(f"{where}: expected a list, got {type(value).__name__} ({value!r})")
    if len(args) == 2 and args[1] is Ellipsis:
        args = (args[0],) * len(value)
    if len(args) != len(value):
        raise ConfigError(f"{where}: expected {len(args)} values, got {len(value)} ({value!r})")
    return tuple(_convert(a, v, where) for a, v in zip(args, value, strict=True))


def _plain(value: Any) -> Any:
    if dataclasses.is_dataclass(value):
        return {f.name: _plain(getattr(value, f.name)) for f in dataclasses.fields(value)}
    if isinstance(value, (list, tuple)):
        return [_plain(v) for v in value]
    if isinstance(value, dict):
        return {k: _plain(v) for k, v in value.items()}
    return value
