r"""Planner for the UR5; on request also the simulated arm, its state publisher and RViz.

On a real robot the driver publishes joint_states, and `trajectory_topic` names the controller's topic:
    ros2 launch sobo_planner ur5.launch.py velocity_scaling:=0.2 acceleration_scaling:=0.2 \
        trajectory_topic:=/joint_trajectory_controller/joint_trajectory
Without a robot:
    ros2 launch sobo_planner ur5.launch.py simulator:=true rviz:=true
"""

from launch.actions import DeclareLaunchArgument
from launch.conditions import IfCondition
from launch.substitutions import LaunchConfiguration
from launch_ros.actions import Node

from launch import LaunchDescription
from sobo_planner.paths import share_path

# Parameters of the planner that are arguments, too.
PLANNER = ("policy", "mode", "goal_type", "velocity_scaling", "acceleration_scaling", "record", "autostart")

# Topics that worlds come from, see world_topics in the parameter file. The parameters `world` and `world_topics` are no
# arguments: one that is not given would replace what the parameter file says.
WORLD_TOPICS = ("obstacles", "planning_scene", "points")


def arguments():
    """Every argument with its default and description."""
    return [
        DeclareLaunchArgument(
            "params_file",
            default_value=str(share_path("config/ur5.params.yaml")),
            description="Parameter file of planner and simulator.",
        ),
        DeclareLaunchArgument(
            "policy",
            default_value="",
            description="Folder of a policy artifact; empty: the shipped one; none: plan from interpolation.",
        ),
        DeclareLaunchArgument(
            "mode",
            default_value="plan_once",
            choices=["plan_once", "receding_horizon"],
            description="A trajectory per goal, or replanning at the parameter file's rate.",
        ),
        DeclareLaunchArgument(
            "goal_type",
            default_value="position",
            choices=["position", "pose", "joints"],
            description="Whether goals are positions of the tool, poses, or positions of the joints.",
        ),
        DeclareLaunchArgument(
            "velocity_scaling",
            default_value="1.0",
            description="Share of the robot's speeds that motions may use.",
        ),
        DeclareLaunchArgument(
            "acceleration_scaling",
            default_value="1.0",
            description="Share of the robot's accelerations that motions may use.",
        ),
        DeclareLaunchArgument(
            "record",
            default_value="",
            description="Folder for bags of what the planner hears and says; empty: none.",
        ),
        DeclareLaunchArgument(
            "autostart",
            default_value="true",
            choices=["true", "false"],
            description="Configure and activate the planner at start; false: a lifecycle manager does.",
        ),
        DeclareLaunchArgument(
            "tf_prefix",
            default_value="",
            description="Prefix of joint names and base frame; leave it empty with the simulator.",
        ),
        DeclareLaunchArgument(
            "trajectory_topic",
            default_value="joint_trajectory",
            description="Topic on which the robot's controller expects trajectories.",
        ),
        DeclareLaunchArgument(
            "control_topic",
            default_value="control",
            description="Topic on which linear_feedback_controller expects its commands.",
        ),
        DeclareLaunchArgument(
            "obstacles_topic",
            default_value="obstacles",
            description="Topic of markers that are obstacles, with `obstacles` in world_topics.",
        ),
        DeclareLaunchArgument(
            "planning_scene_topic",
            default_value="planning_scene",
            description="Topic of MoveIt's planning scenes, with `planning_scene` in world_topics.",
        ),
        DeclareLaunchArgument(
            "points_topic",
            default_value="points",
            description="Topic of point clouds that are obstacles, with `points` in world_topics.",
        ),
        DeclareLaunchArgument(
            "use_sim_time",
            default_value="false",
            choices=["true", "false"],
            description="Take the time from /clock.",
        ),
        DeclareLaunchArgument(
            "simulator",
            default_value="false",
            choices=["true", "false"],
            description="Start the simulated arm and robot_state_publisher.",
        ),
        DeclareLaunchArgument(
            "plant",
            default_value="model",
            choices=["model", "mujoco"],
            description="What the simulated arm is: the planner's own model of it, or MuJoCo's.",
        ),
        DeclareLaunchArgument(
            "rviz",
            default_value="false",
            choices=["true", "false"],
            description="Start RViz with config/ur5.rviz; its goal tool sends goal_pose.",
        ),
    ]


def generate_launch_description():
    """Returns the launch description."""
    argument = LaunchConfiguration
    params = argument("params_file")
    shared = {"tf_prefix": argument("tf_prefix"), "use_sim_time": argument("use_sim_time")}
    trajectory = [("joint_trajectory", argument("trajectory_topic"))]
    world = [(name, argument(f"{name}_topic")) for name in WORLD_TOPICS]
    planner = {name: argument(name) for name in PLANNER}
    simulated = IfCondition(argument("simulator"))
    description = {"robot_description": share_path("urdf/ur5.urdf").read_text(encoding="utf-8")}
    nodes = [
        Node(
            package="sobo_planner",
            executable="planner_node",
            name="planner",
            output="screen",
            parameters=[params, {**shared, **planner}],
            remappings=[*trajectory, *world, ("control", argument("control_topic"))],
        ),
        Node(
            package="sobo_planner",
            executable="arm_simulator_node",
            name="arm_simulator",
            output="screen",
            parameters=[params, {**shared, "plant": argument("plant")}],
            remappings=trajectory,
            condition=simulated,
        ),
        Node(
            package="robot_state_publisher",
            executable="robot_state_publisher",
            parameters=[description, {"use_sim_time": argument("use_sim_time")}],
            condition=simulated,
        ),
        Node(
            package="rviz2",
            executable="rviz2",
            arguments=["-d", str(share_path("config/ur5.rviz"))],
            condition=IfCondition(argument("rviz")),
        ),
    ]
    return LaunchDescription([*arguments(), *nodes])
