"""Reads task files: YAML into dataclasses, every key checked, overridable key by key."""

from __future__ import annotations

import dataclasses
import reprlib
import typing
from collections.abc import Mapping
from dataclasses import fields, is_dataclass
from difflib import get_close_matches
from pathlib import Path
from typing import Any

import yaml

from sobo_planner.errors import ConfigError
from sobo_planner.tasks.config import TaskConfig, require

#: Largest magnitude of a number; the square of every one is finite.
LARGEST = 1e12
# Values in messages are cut short: aliases let a small file hold a value of any length.
_short = reprlib.Repr()
_short.maxlevel, _short.maxstring, _short.maxother = 2, 80, 80


def read_config(path: Path, overrides: Mapping[str, Any], kinds: Mapping[str, type[TaskConfig]]) -> TaskConfig:
    """Reads a task file.

    Args:
        path: The YAML file.
        overrides: Values by key: a dotted path (`problem.dt`) or a leaf name that occurs once (`r_init`). Text is
            read as YAML.
        kinds: Configuration of each kind of task.

    Raises:
        ConfigError: The file is unreadable, or a key or value is not allowed.
    """
    if not path.is_file():  # nor a device, which may never end
        raise ConfigError(f"the task file {path} cannot be read: there is no such file")
    try:
        data = yaml.safe_load(path.read_text(encoding="utf-8"))
    except Exception as e:  # PyYAML also lets through what int(), date() and others raise, and RecursionError
        raise ConfigError(f"the task file {path} cannot be read: {e}") from e
    if not isinstance(data, dict):
        raise ConfigError(f"the task file {path} must hold keys and values")
    kind = overrides.get("kind", data.get("kind"))
    if not isinstance(kind, str) or kind not in kinds:
        raise ConfigError(f"{path}: unknown kind of task {_short.repr(kind)}; known: {', '.join(kinds)}")
    config = kinds[kind]
    keys = leaf_keys(config)
    for key, value in overrides.items():
        _override(data, _resolve(key, keys), value)
    try:
        return _build(config, data, "")
    except ConfigError as e:
        raise ConfigError(f"{path}: {e}") from e


def leaf_keys(cls: Any, prefix: str = "") -> list[str]:
    """Every key of a kind of task file, as dotted paths."""
    hints = typing.get_type_hints(cls)
    out: list[str] = []
    for item in fields(cls):
        inner = hints[item.name]
        out += leaf_keys(inner, f"{prefix}{item.name}.") if is_dataclass(inner) else [prefix + item.name]
    return out


def _resolve(key: str, keys: list[str]) -> str:
    matches = [k for k in keys if k == key or k.rsplit(".", 1)[-1] == key]
    if len(matches) == 1:
        return matches[0]
    if matches:
        raise ConfigError(f"the key {key!r} is ambiguous; use one of: {', '.join(matches)}")
    leaves = {each.rsplit(".", 1)[-1]: each for each in keys}
    close = [leaves.get(each, each) for each in get_close_matches(key, [*keys, *leaves])]
    hint = f"did you mean {' or '.join(dict.fromkeys(close))}? The keys are" if close else "the keys are"
    raise ConfigError(f"unknown key {key!r}; {hint}: {', '.join(keys)}")


def _override(data: dict[str, Any], key: str, value: Any) -> None:
    if isinstance(value, str):
        try:
            value = yaml.safe_load(value)
        except Exception as e:  # as above
            raise ConfigError(f"the value of {key} is not YAML: {e}") from e
    *sections, leaf = key.split(".")
    for section in sections:
        data = data.setdefault(section, {})
        require(isinstance(data, dict), f"{section} must be a mapping, got {_short.repr(data)}")
    data[leaf] = value


def _build(cls: Any, data: Any, where: str) -> Any:
    """Turns mappings into dataclasses, refusing unknown, missing and mistyped keys."""
    require(isinstance(data, dict), f"{where[:-1] or 'the file'} must be a mapping, got {_short.repr(data)}")
    hints = typing.get_type_hints(cls)
    unknown = [key for key in data if key not in hints]
    require(not unknown, f"unknown key {where}{_text(unknown)}; known: {', '.join(hints)}")
    values = {}
    for item in fields(cls):
        key = where + item.name
        if item.name in data:
            values[item.name] = _convert(hints[item.name], data[item.name], key)
        else:
            missing = item.default is dataclasses.MISSING and item.default_factory is dataclasses.MISSING
            require(not missing, f"the key {key} is missing")
    try:
        return cls(**values)
    except ConfigError as e:
        named = str(e) if str(e).startswith(where) else f"{where[:-1]}: {e}"
        raise ConfigError(named) from e


def _text(unknown: list[Any]) -> str:
    return (unknown[0] if isinstance(unknown[0], str) else _short.repr(unknown[0])) if unknown else ""


def _convert(hint: Any, value: Any, key: str) -> Any:
    if is_dataclass(hint):
        return _build(hint, value, f"{key}.")
    shown = _short.repr(value)
    origin = typing.get_origin(hint)
    if origin is tuple:
        require(isinstance(value, (list, tuple)), f"{key} must be a list, got {shown}")
        return tuple(_convert(typing.get_args(hint)[0], entry, key) for entry in value)
    if origin is dict:
        require(isinstance(value, dict), f"{key} must be a mapping, got {shown}")
        return {_name(k, key): _convert(typing.get_args(hint)[1], v, f"{key}.{k}") for k, v in value.items()}
    if hint is float:
        number = isinstance(value, (int, float)) and not isinstance(value, bool)
        require(number and abs(value) <= LARGEST, f"{key} must be a number within {LARGEST:g}, got {shown}")
        return float(value) + 0.0  # no negative zero, which is no lower bound
    if hint is int and isinstance(value, bool):
        value = int(value)
    require(isinstance(value, hint), f"{key} must be of type {hint.__name__}, got {shown}")
    if hint is int:
        require(abs(value) <= LARGEST, f"{key} must be a number within {LARGEST:g}, got {shown}")
    return _name(value, key) if hint is str else value


def _name(value: Any, key: str) -> str:
    """Text that can stand in a message, and be handed to the extension."""
    require(isinstance(value, str) and value.isprintable(), f"{key} must be printable text, got {_short.repr(value)}")
    return value
