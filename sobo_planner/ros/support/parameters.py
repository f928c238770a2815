"""Declaration of node parameters with type, range and description."""

from __future__ import annotations

import difflib
import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from rcl_interfaces.msg import FloatingPointRange, IntegerRange, ParameterDescriptor, SetParametersResult
from rclpy.node import Node
from rclpy.parameter import Parameter

from sobo_planner.errors import ConfigError

TYPES = {bool: "true or false", int: "an integer", float: "a number", str: "a text", list: "a list of numbers"}
# Parameters of every node, which rclpy declares.
OF_RCLPY = ("use_sim_time", "start_type_description_service", "qos_overrides")
# An unknown name that is so similar to one of ours is a slip: what was meant would not be in force.
SIMILAR = 0.85


@dataclass(frozen=True)
class ParameterSpec:
    """One parameter. The type is that of the default.

    Attributes:
        name: ROS parameter name.
        default: value when neither the parameter file nor the command line gives one.
        description: shown by `ros2 param describe`.
        bounds: smallest and largest value, for numbers.
        read_only: fixed once the node runs.
        size: how many numbers a list must have, all of them finite; None: as many as there are.
    """

    name: str
    default: bool | int | float | str | list[float]
    description: str
    bounds: tuple[float, float] | None = None
    read_only: bool = False
    size: int | None = None

    @property
    def type(self) -> Parameter.Type:
        """Type of the parameter."""
        return Parameter.Type.DOUBLE_ARRAY if self.default == [] else Parameter.Type.from_parameter_value(self.default)

    def descriptor(self) -> ParameterDescriptor:
        """The ROS descriptor of this parameter."""
        descriptor = ParameterDescriptor(
            name=self.name,
            type=self.type.value,
            description=self.description,
            read_only=self.read_only,
        )
        if self.bounds is not None and isinstance(self.default, float):
            low, high = self.bounds
            descriptor.floating_point_range = [FloatingPointRange(from_value=low, to_value=high, step=0.0)]
        elif self.bounds is not None:
            low, high = self.bounds
            descriptor.integer_range = [IntegerRange(from_value=int(low), to_value=int(high), step=1)]
        return descriptor

    def taken(self, given: Parameter) -> Parameter:
        """The same with doubles for integers where doubles are meant, as people write them."""
        if self.type is Parameter.Type.DOUBLE and given.type_ is Parameter.Type.INTEGER:
            return Parameter(self.name, Parameter.Type.DOUBLE, float(given.value))
        if self.type is Parameter.Type.DOUBLE_ARRAY and given.type_ is Parameter.Type.INTEGER_ARRAY:
            return Parameter(self.name, Parameter.Type.DOUBLE_ARRAY, [float(value) for value in given.value])
        return given

    def objection(self, given: Parameter) -> str:
        """What stands against a value; empty if nothing does."""
        got = f"got {_text(given.value)}"
        if given.type_ is not self.type:
            return f"the parameter {self.name} must be {TYPES[type(self.default)]}, {got}"
        if self.bounds is not None and not self.bounds[0] <= given.value <= self.bounds[1]:
            return f"the parameter {self.name} must lie between {self.bounds[0]:g} and {self.bounds[1]:g}, {got}"
        if self.size is not None and not (len(given.value) == self.size and all(map(math.isfinite, given.value))):
            return f"the parameter {self.name} needs {self.size} finite numbers, {got}"
        return ""


def _text(value: Any) -> str:
    """A value as in a message."""
    if isinstance(value, (bool, int, float, str)):
        return repr(value)
    return "nothing" if value is None else repr(list(value))


class Parameters:
    """The parameters of a node.

    Integers are taken for doubles, in parameter files, on the command line and when parameters are set.

    Attributes:
        objects: Says what stands against new values of some parameters, by name, beside types and ranges; empty if
            nothing does.
    """

    def __init__(self, node: Node) -> None:
        self._node = node
        self.objects: Callable[[Mapping[str, Any]], str] = lambda values: ""
        self._specs: dict[str, ParameterSpec] = {}
        # What parameter files and command line set; rclpy offers it only to nodes that declare whatever they are given.
        self._overrides: Mapping[str, Parameter] = node._parameter_overrides
        node.add_pre_set_parameters_callback(self._taken)
        node.add_on_set_parameters_callback(self._judged)

    def declare(self, specs: Iterable[ParameterSpec]) -> dict[str, Any]:
        """Declares parameters with the values of the node's parameter files and command line.

        Returns:
            Their values; an empty list for an array that is not set.

        Raises:
            ConfigError: A value has the wrong type or is out of range.
        """
        values = {}
        for spec in specs:
            value: Any = spec.default
            given = self._overrides.get(spec.name)
            if given is not None and not (given.value is None and spec.default == []):
                given = spec.taken(given)
                objection = spec.objection(given)
                if objection:
                    raise ConfigError(objection)
                value = given.value
            values[spec.name] = value
            # The type alone for an empty list, which would not say of what it is one.
            start = spec.type if isinstance(value, list) and not value else value
            self._node.declare_parameter(spec.name, start, spec.descriptor(), ignore_override=True)
            self._specs[spec.name] = spec
        return values

    def check_names(self) -> None:
        """Looks for parameters that the node was given and does not have, once all are declared.

        One that is nearly called as one of the node's is refused. Others are told in the log: parameter files for many
        nodes hold them.

        Raises:
            ConfigError: A name is misspelt.
        """
        for name in self._overrides:
            if name in self._specs or name.split(".")[0] in OF_RCLPY:
                continue
            meant = difflib.get_close_matches(name.lower(), self._specs, 1, SIMILAR)
            if meant:
                raise ConfigError(f"there is no parameter {name}; did you mean {meant[0]}?")
            known = ", ".join(self._specs)
            self._node.get_logger().warning(f"the parameter {name} is unknown and has no effect; known are {known}")

    def _taken(self, given: Sequence[Parameter]) -> list[Parameter]:
        return [self._specs[each.name].taken(each) if each.name in self._specs else each for each in given]

    def _judged(self, given: Sequence[Parameter]) -> SetParametersResult:
        objections = (self._specs[each.name].objection(each) for each in given if each.name in self._specs)
        reason = next(filter(None, objections), "") or self.objects({each.name: each.value for each in given})
        return SetParametersResult(successful=not reason, reason=reason)


def changed(parameters: Sequence[Parameter], names: Iterable[str]) -> dict[str, Any]:
    """Values of those parameters of a set request that are named in `names`."""
    wanted = set(names)
    return {parameter.name: parameter.value for parameter in parameters if parameter.name in wanted}
