"""Reads YAML as the people who write it mean it: a key counts once, and `2e-2` is a number."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from sobo_planner.errors import ConfigError

#: Levels and number of keys whose lines are kept; aliases let a small file hold any number of keys.
_LEVELS, _KEYS = 4, 10_000
#: Levels where lists are looked into as well: each list adds one.
_LEVELS_WITH_LISTS = 8
# YAML 1.1 wants a dot in a number with an exponent, and a sign in the exponent; YAML 1.2 and everybody else do not.
_FLOAT = re.compile(r"[-+]?(?:\d[\d_]*(?:\.[\d_]*)?|\.\d[\d_]*)[eE][-+]?\d+$")


@dataclass(frozen=True)
class Document:
    """Contents of a YAML file.

    Attributes:
        data: The value.
        lines: Line of each key, by dotted path (`problem.dt`); counted from 1. Mappings in lists have their index as a
            key (`objects.0.name`) if they were asked for.
    """

    data: Any
    lines: dict[str, int] = field(default_factory=dict)

    def line_of(self, key: str) -> int | None:
        """Line of a key, or of the innermost mapping around it that the file holds."""
        while key and key not in self.lines:
            key = key.rpartition(".")[0]
        return self.lines.get(key)


class _Loader(yaml.SafeLoader):
    """Refuses duplicate keys, takes exponents, and says where values are that cannot be constructed."""

    def compose_mapping_node(self, anchor: Any) -> yaml.MappingNode:
        node = super().compose_mapping_node(anchor)
        first: dict[tuple[str, str], yaml.Node] = {}
        for key, _ in node.value:
            if not isinstance(key, yaml.ScalarNode):
                continue
            earlier = first.setdefault((key.tag, key.value), key)
            if earlier is not key:
                problem = f"duplicate key {key.value!r}, first on line {earlier.start_mark.line + 1}"
                raise yaml.composer.ComposerError(None, None, problem, key.start_mark)
        return node

    def construct_object(self, node: Any, deep: bool = False) -> Any:
        try:
            return super().construct_object(node, deep)
        except (ValueError, TypeError, AttributeError, ArithmeticError) as error:  # of int(), float(), date() and so on
            kind = node.tag.rpartition(":")[2]
            raise yaml.constructor.ConstructorError(None, None, f"not a valid {kind}", node.start_mark) from error


class _Dumper(yaml.SafeDumper):
    """Puts text in quotes that the loader above would take for something else."""


for _class in (_Loader, _Dumper):
    _class.add_implicit_resolver("tag:yaml.org,2002:float", _FLOAT, list("-+0123456789."))


def read_yaml(path: Path, lists: bool = False) -> Document:
    """Read a file that holds one YAML document.

    Args:
        path: The file.
        lists: Note the lines of mappings in lists, too.

    Raises:
        ConfigError: It cannot be read, or is not YAML; the message is one line that begins with the file and line.
    """
    if not path.is_file():  # nor a device, which may never end
        raise ConfigError(f"{path} cannot be read: there is no such file")
    try:
        content = path.read_bytes()
    except OSError as error:
        raise ConfigError(f"{path} cannot be read: {error.strerror}") from error
    try:
        text = content.decode("utf-8")
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        raise ConfigError(f"{path}:{line}: cannot be read as UTF-8 text: {error.reason}") from error
    return _parse(text, str(path), lists)


def parse_yaml(text: str) -> Any:
    """Value of a YAML text of one line, such as an override.

    Raises:
        ConfigError: It is not YAML; the message is one line.
    """
    return _parse(text, "").data


def dump_yaml(data: Any) -> str:
    """Plain values as a text that is read back to the same ones; keys stay in order."""
    return yaml.dump(data, Dumper=_Dumper, sort_keys=False, default_flow_style=None, width=120, allow_unicode=True)


def _parse(text: str, name: str, lists: bool = False) -> Document:
    """A text as YAML; messages begin with the name and the line, where there is a name."""
    try:
        loader = _Loader(text)
        node = loader.get_single_node()
        if node is None:
            return Document(None)
        lines: dict[str, int] = {}
        _note_lines(node, "", lines, lists)
        return Document(loader.construct_document(node), lines)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        raise ConfigError(_message(name, mark.line if mark else None, error.problem or error.context)) from error
    except yaml.reader.ReaderError as error:
        line = text.count("\n", 0, error.position)
        raise ConfigError(_message(name, line, f"the character {chr(error.character)!r} is not allowed")) from error
    except RecursionError as error:
        raise ConfigError(_message(name, None, "nested too deeply")) from error


def _message(name: str, line: int | None, problem: str | None) -> str:
    reason = " ".join((problem or "no reason given").split())
    if not name:
        return f"not YAML: {reason}"
    return f"{name}{'' if line is None else f':{line + 1}'}: cannot be read as YAML: {reason}"


def _note_lines(node: yaml.Node, prefix: str, lines: dict[str, int], lists: bool, level: int = 1) -> None:
    if level > (_LEVELS_WITH_LISTS if lists else _LEVELS) or len(lines) > _KEYS:
        return
    entries: list[tuple[str, yaml.Node, yaml.Node]] = []
    if isinstance(node, yaml.MappingNode):
        scalars = [(key, value) for key, value in node.value if isinstance(key, yaml.ScalarNode)]
        entries = [(key.value, key, value) for key, value in scalars if key.tag != "tag:yaml.org,2002:merge"]
    elif lists and isinstance(node, yaml.SequenceNode):
        entries = [(str(n), value, value) for n, value in enumerate(node.value) if isinstance(value, yaml.MappingNode)]
    for key, place, value in entries:
        lines.setdefault(prefix + key, place.start_mark.line + 1)
        _note_lines(value, f"{prefix}{key}.", lines, lists, level + 1)
