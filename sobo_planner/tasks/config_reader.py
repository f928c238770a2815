"""Reads task files: YAML into dataclasses, every key checked, overridable key by key."""

from __future__ import annotations

import dataclasses
import re
import reprlib
import typing
from collections.abc import Collection, Iterable, Mapping
from dataclasses import fields, is_dataclass
from difflib import get_close_matches
from pathlib import Path
from typing import Any

from sobo_planner.errors import ConfigError
from sobo_planner.tasks.config import TaskConfig
from sobo_planner.yaml_reader import Document, parse_yaml, read_yaml

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
    document = read_yaml(path)
    data = document.data
    if not isinstance(data, dict):
        raise ConfigError(f"{path}: a task file must hold keys and values, this one holds {_short.repr(data)}")
    kind = overrides.get("kind", data.get("kind"))
    if not isinstance(kind, str) or kind not in kinds:
        place = locate(path, document, "kind", overrides)
        raise ConfigError(f"{place}: unknown kind of task {_short.repr(kind)}; known: {', '.join(kinds)}")
    config = kinds[kind]
    keys = leaf_keys(config)
    replaced = {_resolve(key, keys): value for key, value in overrides.items()}
    for key, value in replaced.items():
        _override(data, key, value)
    try:
        return _build(config, data, "")
    except _Misfit as error:
        raise ConfigError(f"{locate(path, document, error.key, replaced)}: {error}") from error


def locate(path: Path, document: Document, key: str, overrides: Collection[str]) -> str:
    """Where a key's value comes from: the file and its line, or the file alone for what an override says.

    Args:
        path: The task file.
        document: Its contents.
        key: Dotted path of a key.
        overrides: Dotted paths of the keys that overrides replaced.
    """
    line = None if key in overrides else document.line_of(key)
    return str(path) if line is None else f"{path}:{line}"


def place_of(path: Path, section: str, message: str, overrides: Iterable[str]) -> str:
    """Where the key of a section is set that an error is about, as `locate`; for what only building the task shows.

    The error names the key or its value.
    """
    document = read_yaml(path)
    leaves = {key.rpartition(".")[2]: key for key in document.lines if key.startswith(f"{section}.")}
    values = document.data.get(section) or {}
    by_value = [key for key, value in values.items() if isinstance(value, str) and repr(value) in message]
    leaf = by_value[0] if by_value else _named(leaves, re.sub(r"\S*/\S*", "", message))  # no part of a path is a key
    replaced = {key.rpartition(".")[2] for key in overrides}
    if leaf in replaced or (replaced and not leaf):
        return str(path)
    return locate(path, document, leaves.get(leaf, section), ())


class _Misfit(ConfigError):
    """A value that is not allowed, with its key."""

    def __init__(self, key: str, message: str) -> None:
        super().__init__(message)
        self.key = key


def _require(condition: bool, key: str, message: str) -> None:
    if not condition:
        raise _Misfit(key, message)


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
            value = parse_yaml(value)
        except ConfigError as error:
            raise ConfigError(f"the value of {key} is {error}") from error
    *sections, leaf = key.split(".")
    for section in sections:
        data = data.setdefault(section, {})
        _require(isinstance(data, dict), section, f"{section} must be a mapping, got {_short.repr(data)}")
    data[leaf] = value


def _build(cls: Any, data: Any, where: str) -> Any:
    """Turns mappings into dataclasses, refusing unknown, missing and mistyped keys."""
    section = where[:-1]
    _require(isinstance(data, dict), section, f"{section or 'the file'} must be a mapping, got {_short.repr(data)}")
    hints = typing.get_type_hints(cls)
    for key in data:
        name = key if isinstance(key, str) else _short.repr(key)
        _require(key in hints, where + name, f"unknown key {where}{name}; known: {', '.join(hints)}")
    values = {}
    for item in fields(cls):
        key = where + item.name
        if item.name in data:
            values[item.name] = _convert(hints[item.name], data[item.name], key)
        else:
            missing = item.default is dataclasses.MISSING and item.default_factory is dataclasses.MISSING
            _require(not missing, section, f"the key {key} is missing")
    try:
        return cls(**values)
    except _Misfit:
        raise
    except ConfigError as e:
        message = str(e) if str(e).startswith(where) else f"{section}: {e}"
        raise _Misfit(where + _named(hints, str(e)), message) from e


def _named(keys: Iterable[str], message: str) -> str:
    """The key that a message names first, empty if it names none."""
    words = re.findall(r"\w+", message)
    return next((word for word in words if word in keys), "")


def _convert(hint: Any, value: Any, key: str) -> Any:
    if is_dataclass(hint):
        return _build(hint, value, f"{key}.")
    shown = _short.repr(value)
    origin = typing.get_origin(hint)
    if origin is tuple:
        _require(isinstance(value, (list, tuple)), key, f"{key} must be a list, got {shown}")
        return tuple(_convert(typing.get_args(hint)[0], entry, key) for entry in value)
    if origin is dict:
        _require(isinstance(value, dict), key, f"{key} must be a mapping, got {shown}")
        return {_name(k, key): _convert(typing.get_args(hint)[1], v, f"{key}.{k}") for k, v in value.items()}
    if hint is float:
        number = isinstance(value, (int, float)) and not isinstance(value, bool)
        _require(number and abs(value) <= LARGEST, key, f"{key} must be a number within {LARGEST:g}, got {shown}")
        return float(value) + 0.0  # no negative zero, which is no lower bound
    if hint is int and isinstance(value, bool):
        value = int(value)
    _require(isinstance(value, hint), key, f"{key} must be of type {hint.__name__}, got {shown}")
    if hint is int:
        _require(abs(value) <= LARGEST, key, f"{key} must be a number within {LARGEST:g}, got {shown}")
    return _name(value, key) if hint is str else value


def _name(value: Any, key: str) -> str:
    """Text that can stand in a message, and be handed to the extension."""
    printable = isinstance(value, str) and value.isprintable()
    _require(printable, key, f"{key} must be printable text, got {_short.repr(value)}")
    return value
