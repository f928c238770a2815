"""Launch file, parameter file and documentation of the nodes agree with the code."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).parents[1]
LAUNCH = ROOT / "launch" / "ur5.launch.py"


def test_every_launch_argument_is_described() -> None:
    """Reads the source: the launch packages come with ROS distributions only."""
    calls = [
        node
        for node in ast.walk(ast.parse(LAUNCH.read_text()))
        if isinstance(node, ast.Call) and getattr(node.func, "id", "") == "DeclareLaunchArgument"
    ]
    assert len(calls) >= 5
    for call in calls:
        keywords = {keyword.arg: keyword.value for keyword in call.keywords}
        name = ast.literal_eval(call.args[0])
        assert keywords.keys() >= {"default_value", "description"}, name
        assert len(ast.literal_eval(keywords["description"])) > 10, name


def test_launch_description() -> None:
    pytest.importorskip("launch_ros", reason="launch and launch_ros come with ROS distributions only")
    from launch.launch_description_sources import get_launch_description_from_python_launch_file

    from launch import LaunchContext

    description = get_launch_description_from_python_launch_file(str(LAUNCH))
    arguments = {argument.name: argument for argument in description.get_launch_arguments()}
    assert arguments.keys() >= {"policy", "simulator", "rviz"}
    assert len(description.entities) > len(arguments)
    assert LaunchContext() is not None


def test_parameter_file_and_documentation_name_every_parameter() -> None:
    pytest.importorskip("rclpy", reason="needs rclpy: the extra `ros` or a ROS distribution")
    from sobo_planner.ros.support import node_parameters
    from sobo_planner.ros.support.status import Status

    text = (ROOT / "config" / "ur5.params.yaml").read_text()
    file = yaml.safe_load(text)
    documentation = (ROOT / "docs" / "ros.md").read_text()
    start = node_parameters.start_position([0.0])
    for node, specs in (("planner", node_parameters.PLANNER), ("arm_simulator", node_parameters.SIMULATOR)):
        values = file[f"/**/{node}"]["ros__parameters"]
        given = [spec for spec in specs if spec.default != []]  # an empty array cannot be written
        assert values.keys() == {spec.name for spec in given}
        assert all(f"# {spec.name}: [" in text for spec in specs if spec not in given)
        for spec in given:
            assert type(values[spec.name]) is type(spec.default), spec.name
    for spec in (*node_parameters.PLANNER, *node_parameters.SIMULATOR, start):
        assert f"| `{spec.name}` |" in documentation
    assert all(f"`{status.value}`" in documentation for status in Status)


def test_rviz_file_shows_the_robot() -> None:
    displays = yaml.safe_load((ROOT / "config" / "ur5.rviz").read_text())["Visualization Manager"]["Displays"]
    assert {"RobotModel", "Goal", "World and motion"} <= {display["Name"] for display in displays}
