"""Message types as a bag stores them: their definitions, and messages of rclpy as CDR.

rclpy's own serialisation leaves room at the end of messages with empty arrays, which readers refuse.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from sobo_planner.errors import ConfigError, SoboError
from sobo_planner.ros.record.mcap_file import Topic

MISSING = "recording needs rosbags, which is not installed: pip install 'sobo_planner[bags]'"


class Types:
    """Definitions of message types, from rosbags or, where it does not know them, from the packages that are installed.

    Raises:
        SoboError: rosbags is not installed.
    """

    def __init__(self) -> None:
        try:
            from rosbags.typesys import Stores, get_typestore
        except ImportError as error:
            raise SoboError(MISSING) from error
        self._store = get_typestore(Stores.ROS2_KILTED)
        self._taking: dict[str, list[tuple[str, Any]]] = {}

    def topic(self, name: str, kind: str, qos: str) -> Topic:
        """A topic of a bag.

        Args:
            name: Its full name.
            kind: Type of its messages, as `std_msgs/msg/String`.
            qos: Its quality of service, as rosbag2 writes it.

        Raises:
            ConfigError: The type is not known, or the package that it is from not installed.
        """
        self._know(kind)
        definition, _ = self._store.generate_msgdef(kind, ros_version=2)
        return Topic(name, kind, definition, self._store.hash_rihs01(kind), qos)

    def of(self, kind: str, *values: Any) -> Any:
        """A message with values for its fields in turn."""
        return self._store.types[kind](*values)

    def cdr(self, kind: str, message: Any) -> bytes:
        """A message of rosbags in CDR."""
        return bytes(self._store.serialize_cdr(message, kind))

    def serialised(self, kind: str, message: Any) -> bytes:
        """A message of rclpy in CDR, field by field."""
        return self.cdr(kind, self._taken(kind, message))

    def _taken(self, kind: str, message: Any) -> Any:
        """A message of rclpy as one of rosbags."""
        return self._store.types[kind](*[take(self, getattr(message, name)) for name, take in self._fields(kind)])

    def _fields(self, kind: str) -> list[tuple[str, Any]]:
        """The fields of a type, each with the function that takes its value over."""
        if kind not in self._taking:
            self._taking[kind] = [(name, _taking(field)) for name, field in self._store.fielddefs[kind][1]]
        return self._taking[kind]

    def _know(self, kind: str) -> None:
        """Reads the definition of a type, and of those that it is made of, from the packages that are installed."""
        from rosbags.typesys import get_types_from_msg

        wanted = [kind]
        while wanted:
            name = wanted.pop()
            if name in self._store.fielddefs:
                continue
            found = get_types_from_msg(_definition(name), name)
            self._store.register(found)
            wanted.extend(each for _, fields in found.values() for _, field in fields for each in _named(field))


def _named(field: Any) -> list[str]:
    """Types of messages in a field's definition."""
    node, details = field
    if node.name == "NAME":
        return [details]
    return _named(details[0]) if node.name in ("ARRAY", "SEQUENCE") else []


def _taking(field: Any) -> Any:
    """What takes over the value of a field, given the types and the value."""
    node, details = field
    if node.name == "NAME":
        return lambda types, value: types._taken(details, value)
    if node.name not in ("ARRAY", "SEQUENCE"):
        return lambda types, value: value
    inner, element = details[0]
    if inner.name == "NAME":
        return lambda types, value: [types._taken(element, each) for each in value]
    name = element[0]
    if name in ("string", "wstring"):
        return lambda types, value: list(value)
    if name in ("byte", "octet"):
        return lambda types, value: np.frombuffer(b"".join(value), np.uint8)
    kind = np.dtype(name)
    return lambda types, value: np.asarray(value, kind)


def _definition(name: str) -> str:
    """The text of a .msg file of an installed package."""
    package, _, kind = name.split("/")
    try:
        from ament_index_python.packages import get_package_share_directory

        return (Path(get_package_share_directory(package)) / "msg" / f"{kind}.msg").read_text(encoding="utf-8")
    except (ImportError, LookupError, OSError) as error:
        raise ConfigError(f"the definition of {name} is not installed: {error}") from error
