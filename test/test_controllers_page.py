"""docs/controllers.md: its YAML names the task's joints in their order and only parameters that exist."""

from __future__ import annotations

import ast
import importlib.util
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml

from sobo_planner.tasks import ArmReach

ROOT = Path(__file__).parents[1]
PAGE = (ROOT / "docs" / "controllers.md").read_text(encoding="utf-8")

# As declared by the controllers: ros2_controllers Jazzy to Rolling, ur_controllers, linear_feedback_controller 4.0.
TRAJECTORY_PARAMETERS = {
    "joints", "command_joints", "command_interfaces", "state_interfaces", "allow_partial_joints_goal",
    "interpolate_from_desired_state", "allow_integration_in_goal_trajectories", "action_monitor_rate",
    "set_last_command_interface_value_as_state_on_activation", "interpolation_method",
    "allow_nonzero_velocity_at_trajectory_end", "cmd_timeout", "gains", "constraints", "speed_scaling",
}  # fmt: skip
FEEDBACK_PARAMETERS = {
    "chainable_controller", "remove_gravity_compensation_effort", "joint_velocity_filter_coefficient",
    "moving_joint_names", "robot_has_free_flyer", "pd_to_lf_transition_duration",
}  # fmt: skip


def parameters() -> dict[str, dict[str, Any]]:
    """Parameters of each node, over all YAML blocks of the page."""
    found: dict[str, dict[str, Any]] = {}
    for block in re.findall(r"```yaml\n(.*?)```", PAGE, re.DOTALL):
        for node, content in yaml.safe_load(block).items():
            assert node not in found and list(content) == ["ros__parameters"]
            found[node] = content["ros__parameters"]
    return found


def test_trajectory_controller(task: ArmReach) -> None:
    names, values = task.robot.joint_names, parameters()["scaled_joint_trajectory_controller"]
    assert values["joints"] == names
    assert values.keys() <= TRAJECTORY_PARAMETERS | {"speed_scaling_interface_name"}
    assert values["command_interfaces"] == ["position"]
    assert values["state_interfaces"] == ["position", "velocity"]
    assert values["interpolate_from_desired_state"] is True
    assert values["allow_nonzero_velocity_at_trajectory_end"] is False
    constraints = values["constraints"]
    assert constraints.keys() == {"stopped_velocity_tolerance", "goal_time", *names}
    assert all(constraints[name].keys() == {"trajectory", "goal"} for name in names)
    later = parameters()["joint_trajectory_controller"]
    assert later.keys() <= TRAJECTORY_PARAMETERS
    assert later["speed_scaling"]["state_interface"] == values["speed_scaling_interface_name"]


def test_linear_feedback_controller(task: ArmReach) -> None:
    names, values = task.robot.joint_names, parameters()["linear_feedback_controller"]
    assert values["moving_joint_names"] == names
    assert values.keys() == FEEDBACK_PARAMETERS | set(names)
    chain = values["chainable_controller"]
    assert chain["command_interfaces"] == [f"{name}/effort" for name in names]
    estimator = parameters()["joint_state_estimator"]
    states = [f"{name}/{kind}" for kind in ("position", "velocity", "effort") for name in names]
    assert estimator["state_interfaces"] == states
    prefix = "linear_feedback_controller/" + chain["reference_prefix"]
    assert estimator["command_interfaces"] == [prefix + state for state in states]
    types = parameters()["controller_manager"]
    assert types.keys() == {"joint_state_estimator", "linear_feedback_controller"}
    assert all(kind["type"].startswith("linear_feedback_controller/") for kind in types.values())


def test_group_controller(task: ArmReach) -> None:
    values = parameters()["effort_group"]
    assert values == {"interface_name": "effort", "joints": task.robot.joint_names}


def test_its_holding_gains_hold_the_simulated_arm(task: ArmReach, home: np.ndarray) -> None:
    """The law of the controller's first phase at the driver's 500 Hz, gravity torques added by the robot."""
    values, robot = parameters()["linear_feedback_controller"], task.robot
    p, d = (np.array([values[name][key] for name in robot.joint_names]) for key in "pd")
    plant, x = robot.with_mass_scale(1.1), np.concatenate([home, np.zeros(6)])
    x[:6] += 0.05
    for i in range(3000):
        if i % 2 == 0:
            torque = robot.gravity(x[:6]) - p * (x[:6] - home) - d * x[6:]
        x = plant.step(x, np.clip(torque, -robot.effort_limit, robot.effort_limit), 1e-3)
    # 10 % of the gravity torque over the stiffness remain.
    np.testing.assert_allclose(x[:6], home - 0.1 * robot.gravity(home) / p, atol=2e-3)
    np.testing.assert_allclose(x[6:], 0.0, atol=1e-3)


def test_commands_and_links_are_true() -> None:
    launch = ast.parse((ROOT / "launch" / "ur5.launch.py").read_text())
    strings = {node.value for node in ast.walk(launch) if isinstance(node, ast.Constant)}
    command = re.search(r"ros2 launch sobo_planner (\S+) ([^\\]*)\\\n +(\w+):=/(\w+)/joint_trajectory\n", PAGE)
    assert command is not None
    file, others, argument, controller = command.groups()
    assert (ROOT / "launch" / file).is_file() and controller in parameters()
    assert {argument, *re.findall(r"(\w+):=", others)} <= strings
    for link in re.findall(r"\]\(([\w.]+)\)", PAGE):
        assert (ROOT / "docs" / link).is_file()
    for path in re.findall(r"`(test/[\w/.]+)`", PAGE):
        assert (ROOT / path).is_file()
    for module in re.findall(r"`(sobo_planner\.[\w.]+)`", PAGE):
        assert importlib.util.find_spec(module) is not None


def test_topic_and_quality_of_service_are_true() -> None:
    pytest.importorskip("rclpy", reason="needs rclpy: the extra `ros` or a ROS distribution")
    from sobo_planner.ros.outputs import linear_feedback

    assert f"publishes `{linear_feedback.TOPIC}` where" in PAGE
    assert f"best effort, depth {linear_feedback.QOS.depth}" in PAGE
