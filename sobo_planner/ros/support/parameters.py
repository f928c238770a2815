"""Declaration of node parameters with type, range and description."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from rcl_interfaces.msg import FloatingPointRange, IntegerRange, ParameterDescriptor
from rclpy.node import Node
from rclpy.parameter import Parameter


@dataclass(frozen=True)
class ParameterSpec:
    """One parameter. The type is that of the default.

    Attributes:
        name: ROS parameter name.
        default: value when neither the parameter file nor the command line gives one.
        description: shown by `ros2 param describe`.
        bounds: smallest and largest value, for numbers.
        read_only: fixed once the node runs.
    """

    name: str
    default: bool | int | float | str | list[float]
    description: str
    bounds: tuple[float, float] | None = None
    read_only: bool = False

    @property
    def type(self) -> Parameter.Type:
        """Type of the parameter."""
        return Parameter.Type.DOUBLE_ARRAY if self.default == [] else Parameter.Type.from_parameter_value(self.default)

    @property
    def value(self) -> Any:
        """The default as rclpy takes it: the type alone for an empty list, which would not say of what it is one."""
        return Parameter.Type.DOUBLE_ARRAY if self.default == [] else self.default

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


def declare(node: Node, specs: Iterable[ParameterSpec]) -> dict[str, Any]:
    """Declares the parameters on a node and returns their values; an empty list for an array that is not set."""
    declared = {spec.name: node.declare_parameter(spec.name, spec.value, spec.descriptor()) for spec in specs}
    return {name: [] if parameter.value is None else parameter.value for name, parameter in declared.items()}


def changed(parameters: Sequence[Parameter], names: Iterable[str]) -> dict[str, Any]:
    """Values of those parameters of a set request that are named in `names`."""
    wanted = set(names)
    return {parameter.name: parameter.value for parameter in parameters if parameter.name in wanted}
