"""Asks a running planner node for one plan: `python -m sobo_planner.ros.one_plan TASK X0... GOAL...`.

Prints `planned` once the node has reported one, and stays until standard input ends or a line comes. The benchmark uses
it: in a process of its own it adds nothing to the node's memory and CPU time.
"""

from __future__ import annotations

import json
import sys
import time

import rclpy
from geometry_msgs.msg import PoseStamped
from rclpy.qos import QoSProfile, qos_profile_sensor_data
from sensor_msgs.msg import JointState
from std_msgs.msg import String

from sobo_planner.tasks import load_arm

RELIABLE = QoSProfile(depth=10)
TIMEOUT = 30.0  # [s]


def main(task_name: str, *texts: str) -> int:
    """Sends the state all the time, the goal every other second, until a plan comes. Returns the exit status."""
    task = load_arm(task_name)
    numbers = [float(text) for text in texts]
    x0, goal = numbers[: task.nx], numbers[task.nx :]
    rclpy.init()
    node = rclpy.create_node("one_plan")
    reports: list[dict[str, object]] = []
    states = node.create_publisher(JointState, "joint_states", qos_profile_sensor_data)
    goals = node.create_publisher(PoseStamped, "goal_pose", RELIABLE)
    node.create_subscription(String, "plan_report", lambda m: reports.append(json.loads(m.data)), RELIABLE)
    state = JointState(name=task.robot.joint_names, position=x0[: task.nu], velocity=x0[task.nu :])
    pose = PoseStamped()
    pose.header.frame_id = task.robot.root_link
    pose.pose.orientation.w = 1.0
    pose.pose.position.x, pose.pose.position.y, pose.pose.position.z = goal
    end, ask_at = time.monotonic() + TIMEOUT, 0.0
    while not (reports and reports[-1]["status"] != "refused"):
        if time.monotonic() > end:
            print(f"no plan within {TIMEOUT:.0f} s, reports: {reports[-1:]}", flush=True)
            return 1
        state.header.stamp = pose.header.stamp = node.get_clock().now().to_msg()
        states.publish(state)
        linked = goals.get_subscription_count() and node.count_publishers("plan_report")
        if linked and time.monotonic() > ask_at:
            goals.publish(pose)
            ask_at = time.monotonic() + 2.0
        rclpy.spin_once(node, timeout_sec=0.02)
    print("planned", flush=True)
    sys.stdin.readline()  # the caller may want to look at the node first
    node.destroy_node()
    rclpy.try_shutdown()
    return 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
