"""The parameters of both nodes."""

from __future__ import annotations

from sobo_planner.ros.parameters import ParameterSpec

TASK = ParameterSpec("task", "ur5", "Task name, or path of a task YAML file.", read_only=True)

PLANNER = (
    TASK,
    ParameterSpec(
        "policy",
        "",
        "Folder of a policy artifact; empty: the one shipped for the task; none: plan from interpolation.",
        read_only=True,
    ),
    ParameterSpec("tf_prefix", "", "Prefix of the joint names and of the base frame.", read_only=True),
    ParameterSpec("base_frame", "", "Frame of the goals, without prefix; empty: the task's.", read_only=True),
    ParameterSpec("state_timeout", 0.5, "Age [s] of the joint state past which no plan is made.", (0.01, 60.0)),
    ParameterSpec("deadline", 0.0, "Time allowed for one plan [s]; 0: as long as it takes.", (0.0, 60.0)),
    ParameterSpec(
        "publish_effort",
        False,
        "Fill effort in the trajectory; joint_trajectory_controller refuses it without an effort interface.",
    ),
)

SIMULATOR = (
    TASK,
    ParameterSpec("tf_prefix", "", "Prefix of the joint names.", read_only=True),
    ParameterSpec("use_gains", True, "Apply the plan's feedback gains; false: feedforward only."),
    ParameterSpec("mass_error", 0.0, "Share by which the arm is heavier than its model.", (-0.9, 5.0)),
    ParameterSpec("push_force", [0.0, 0.0, 0.0], "Force on the tool in the base frame during the push [N]."),
    ParameterSpec("push_time", 0.3, "Begin of the push after the start of each plan [s].", (0.0, 60.0)),
    ParameterSpec("push_duration", 0.1, "Duration of the push [s].", (0.0, 60.0)),
)


def start_position(default: list[float]) -> ParameterSpec:
    """The simulator's start (n,) [rad]; its default depends on the task."""
    description = "Joint positions at the start [rad]; setting it puts the arm there, at rest, without a plan."
    return ParameterSpec("start_position", default, description)
