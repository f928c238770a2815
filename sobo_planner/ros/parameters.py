"""Declaration of node parameters with type, range and description."""

from __future__ import annotations

from array import array
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
    def value(self) -> Any:
        """The default as rclpy takes it: an empty list alone would not say what it is a list of."""
        return array("d", self.default) if isinstance(self.default, list) else self.default

    def descriptor(self) -> ParameterDescriptor:
        """The ROS descriptor of this parameter."""
        descriptor = ParameterDescriptor(
            name=self.name,
            type=Parameter.Type.from_parameter_value(self.value).value,
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
    """Declares the parameters on a node and returns their values."""
    return {spec.name: node.declare_parameter(spec.name, spec.value, spec.descriptor()).value for spec in specs}


def changed(parameters: Sequence[Parameter], names: Iterable[str]) -> dict[str, Any]:
    """Values of those parameters of a set request that are named in `names`."""
    wanted = set(names)
    return {parameter.name: parameter.value for parameter in parameters if parameter.name in wanted}
