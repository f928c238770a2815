"""The parameters of both nodes."""

from __future__ import annotations

from sobo_planner.policy.policy import DEFAULT_ENGINES
from sobo_planner.ros.support.parameters import ParameterSpec

TASK = ParameterSpec("task", "ur5", "Task name, or path of a task YAML file.", read_only=True)

PLAN_ONCE, RECEDING_HORIZON = "plan_once", "receding_horizon"
POSITION, POSE, JOINTS = "position", "pose", "joints"
TOPIC, ACTION = "topic", "action"
TRACKING, TASK_GAINS = "tracking", "task"

PLANNER = (
    TASK,
    ParameterSpec(
        "policy",
        "",
        "Folder of a policy artifact; empty: the one shipped for the task; none: plan from interpolation.",
        read_only=True,
    ),
    ParameterSpec(
        "engines",
        ", ".join(DEFAULT_ENGINES),
        "Engines of the policy's network, tried in this order: native, onnxruntime, tensorrt.",
        read_only=True,
    ),
    ParameterSpec(
        "mode", PLAN_ONCE, "plan_once: a trajectory per goal; receding_horizon: replan at `rate`.", read_only=True
    ),
    ParameterSpec(
        "goal_type",
        POSITION,
        "position: the tool's; pose: its orientation too; joints: positions of the joints, on goal_joints.",
        read_only=True,
    ),
    ParameterSpec(
        "rate",
        100.0,
        "Cycles a second of receding_horizon, and messages a second on `control`.",
        (1.0, 1000.0),
        read_only=True,
    ),
    ParameterSpec(
        "effort_rate",
        0.0,
        "Torques a second on `effort_commands`, corrected by the newest joint state; 0: none.",
        (0.0, 2000.0),
        read_only=True,
    ),
    ParameterSpec(
        "propose_every", 50, "receding_horizon: cycles between proposals of the policy.", (1, 10000), read_only=True
    ),
    ParameterSpec(
        "autostart", True, "Configure and activate at start; false: a lifecycle manager does.", read_only=True
    ),
    ParameterSpec("tf_prefix", "", "Prefix of the joint names and of the base frame.", read_only=True),
    ParameterSpec(
        "base_frame",
        "",
        "Frame of tool_box and of reported goals, a link fixed to the URDF's root, without prefix; empty: the task's.",
        read_only=True,
    ),
    ParameterSpec("velocity_scaling", 1.0, "Share of the robot's speeds that motions may use.", (0.001, 1.0)),
    ParameterSpec(
        "acceleration_scaling", 1.0, "Share of the robot's accelerations that motions may use.", (0.001, 1.0)
    ),
    ParameterSpec(
        "execute",
        TOPIC,
        "topic: trajectories are messages; action: also goals of follow_joint_trajectory, whose results are told.",
        read_only=True,
    ),
    ParameterSpec("payload_mass", 0.0, "Mass [kg] that the tool carries beside the URDF's.", (0.0, 1000.0)),
    ParameterSpec("payload_centre", [0.0, 0.0, 0.0], "Its centre of mass in the tool's frame [m].", size=3),
    ParameterSpec("world", "", "World file: objects that plans keep away from; empty: none.", read_only=True),
    ParameterSpec("world_margin", 0.0, "Distance [m] to keep from obstacles.", (0.0, 1.0), read_only=True),
    ParameterSpec(
        "world_topics",
        "",
        "Topics that the world comes from, beside the file: obstacles, planning_scene, points; empty: none.",
        read_only=True,
    ),
    ParameterSpec(
        "world_timeout", 1.0, "Age [s] of what came on world_topics past which no plan is made; 0: any.", (0.0, 3600.0)
    ),
    ParameterSpec(
        "points_resolution", 0.02, "Edge [m] of the cubes that stand for points.", (0.005, 0.5), read_only=True
    ),
    ParameterSpec(
        "gains",
        TRACKING,
        "Feedback gains: tracking holds the arm to its motion; task: the optimal control problem's own.",
        read_only=True,
    ),
    ParameterSpec("state_timeout", 0.5, "Age [s] of the joint state past which no plan is made.", (0.01, 60.0)),
    ParameterSpec(
        "stamp_ahead", 0.2, "Time [s] that the stamp of a joint state may be ahead of ROS time.", (0.001, 60.0)
    ),
    ParameterSpec("deadline", 5.0, "plan_once: time allowed for one plan [s]; 0: as long as it takes.", (0.0, 60.0)),
    ParameterSpec(
        "publish_effort",
        False,
        "Fill effort in the trajectory; joint_trajectory_controller refuses it without an effort interface.",
    ),
    ParameterSpec(
        "publish_acceleration",
        False,
        "Fill accelerations in the trajectory; joint_trajectory_controller then makes quintic splines of the points.",
    ),
    ParameterSpec(
        "allow_nonzero_velocity_at_trajectory_end",
        False,
        "Leave the last velocity as planned; set it as the controller's parameter of the same name.",
    ),
    ParameterSpec(
        "joint_box",
        [],
        "Joint positions that plans keep to [rad]: lower and upper bound of each joint in turn; unset: its limits.",
        read_only=True,
    ),
    ParameterSpec(
        "tool_box",
        [],
        "Tool positions that plans keep to [m], base frame: lower x, y, z, upper x, y, z; unset: anywhere.",
        read_only=True,
    ),
    ParameterSpec("record", "", "Folder for bags of what the node hears and says; empty: none.", read_only=True),
    ParameterSpec(
        "record_file_size", 256, "Size at which a bag goes on in its next file [MB].", (1, 4096), read_only=True
    ),
    ParameterSpec(
        "record_total_size",
        4096,
        "Size of a bag beyond which its oldest files are removed [MB].",
        (2, 1000000),
        read_only=True,
    ),
)

SIMULATOR = (
    TASK,
    ParameterSpec(
        "plant", "model", "model: the planner's own model of the arm; mujoco: MuJoCo's (extra `sim`).", read_only=True
    ),
    ParameterSpec("tf_prefix", "", "Prefix of the joint names.", read_only=True),
    ParameterSpec(
        "world", "", "World file: the arm carries the masses attached to it there (plant model).", read_only=True
    ),
    ParameterSpec("use_gains", True, "Apply the plan's feedback gains; false: feedforward only."),
    ParameterSpec("mass_error", 0.0, "Share by which the arm is heavier than its model.", (-0.9, 5.0)),
    ParameterSpec("push_force", [0.0, 0.0, 0.0], "Force on the tool in the base frame during the push [N].", size=3),
    ParameterSpec("push_time", 0.3, "Begin of the push after the start of each plan [s].", (0.0, 60.0)),
    ParameterSpec("push_duration", 0.1, "Duration of the push [s].", (0.0, 60.0)),
)


def start_position(default: list[float]) -> ParameterSpec:
    """The simulator's start (n,) [rad]; its default depends on the task."""
    description = "Joint positions at the start [rad]; setting it puts the arm there, at rest, without a plan."
    return ParameterSpec("start_position", default, description, size=len(default))
