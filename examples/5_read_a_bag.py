"""Read a recorded bag later, without ROS: how well did the arm follow its plan?

A bag holds what went over the topics: the plan (`joint_trajectory`, `plan_report`) and the arm's answer
(`joint_states`). Give the script a bag of your own, made with `ros2 bag record -a`, or none: then it first writes a
small one, in which a simulated arm, 20 % heavier than the model, follows one plan of the UR5. It needs rosbags (pip
install "sobo_planner[bags]"), no ROS installation. The picture shows planned and measured joint positions and the
tracking error. Run it from the repository, after `make build`:

    .venv/bin/python examples/5_read_a_bag.py              # writes out/examples/5_bag and out/examples/5_bag.png
    .venv/bin/python examples/5_read_a_bag.py my_bag       # reads a bag of yours
"""

from __future__ import annotations

import json
import shutil
import sys
from pathlib import Path

import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt
import numpy as np
from rosbags.highlevel import AnyReader
from rosbags.rosbag2 import StoragePlugin, Writer
from rosbags.typesys import Stores, get_typestore

from sobo_planner.motion import Motion
from sobo_planner.paths import share_path
from sobo_planner.planning import Planner
from sobo_planner.policy import Policy
from sobo_planner.tasks import load_task

OUT = Path("out/examples")
TYPES = get_typestore(Stores.ROS2_JAZZY)  # bags that hold their message definitions do not need it
BEGIN = 1_700_000_000.0  # [s] when the recorded motion begins
STEP = 1e-3  # [s] of the simulation


def message(kind: str, **fields: object) -> object:
    """A message of some package's msg folder, such as `sensor_msgs/JointState`."""
    return TYPES.types[kind.replace("/", "/msg/")](**fields)


def header(time: float) -> object:
    """A header with a stamp [s] and no frame."""
    seconds = int(time)
    stamp = message("builtin_interfaces/Time", sec=seconds, nanosec=round(1e9 * (time - seconds)))
    return message("std_msgs/Header", stamp=stamp, frame_id="")


def duration(time: float) -> object:
    """A duration [s]."""
    return message("builtin_interfaces/Duration", sec=int(time), nanosec=round(1e9 * (time % 1.0)))


def record(path: Path) -> None:
    """Writes a bag in which a simulated arm follows one plan."""
    task = load_task("ur5")
    home = np.concatenate([task.config.robot.home, np.zeros(6)])
    plan = Planner(task, Policy.load(share_path("config/policies/ur5"), task)).plan(home, [-0.3, 0.5, 0.5])
    motion = Motion(BEGIN, plan.time[1], plan.X, plan.U, plan.K)
    empty = np.zeros(0)
    points = [
        message(
            "trajectory_msgs/JointTrajectoryPoint",
            positions=x[:6],
            velocities=x[6:],
            accelerations=empty,
            effort=empty,
            time_from_start=duration(t),
        )
        for t, x in zip(plan.time[1:], plan.X[1:], strict=True)
    ]
    names = task.robot.joint_names
    trajectory = message("trajectory_msgs/JointTrajectory", header=header(BEGIN), joint_names=names, points=points)
    report = json.dumps({"status": plan.status.value, "cost": plan.cost, "goal": plan.goal.tolist()})
    shutil.rmtree(path, ignore_errors=True)
    with Writer(path, version=9, storage_plugin=StoragePlugin.MCAP) as bag:
        topics = {
            topic: bag.add_connection(topic, kind.replace("/", "/msg/"), typestore=TYPES)
            for topic, kind in (
                ("/joint_trajectory", "trajectory_msgs/JointTrajectory"),
                ("/plan_report", "std_msgs/String"),
                ("/joint_states", "sensor_msgs/JointState"),
            )
        }

        def write(topic: str, time: float, content: object) -> None:
            connection = topics[topic]
            bag.write(connection, round(1e9 * time), TYPES.serialize_cdr(content, connection.msgtype))

        write("/joint_trajectory", BEGIN, trajectory)
        write("/plan_report", BEGIN, message("std_msgs/String", data=report))
        plant, x = task.robot.with_mass_scale(1.2), home
        for i in range(round(plan.time[-1] / STEP)):
            time = BEGIN + i * STEP
            if i % 8 == 0:  # 125 Hz
                fields = {"name": names, "position": x[:6], "velocity": x[6:], "effort": empty}
                write("/joint_states", time, message("sensor_msgs/JointState", header=header(time), **fields))
            stage = motion.stage(time)
            torque = motion.U[stage] + motion.K[stage] @ (x - motion.state(time))
            acting = np.clip(torque, -task.torque_limit, task.torque_limit) - plant.friction_torque(x[6:])
            x = plant.step(x, acting, STEP)


def seconds(stamp: object) -> float:
    """A stamp or duration in seconds."""
    return stamp.sec + 1e-9 * stamp.nanosec


if len(sys.argv) > 1:
    path = Path(sys.argv[1])
else:
    path = OUT / "5_bag"
    OUT.mkdir(parents=True, exist_ok=True)
    record(path)

# Read all messages of the three topics, whatever namespace the node had.
plans, reports, states = [], [], []
with AnyReader([path], default_typestore=TYPES) as bag:
    for connection, _, raw in bag.messages():
        kept = {"joint_trajectory": plans, "plan_report": reports, "joint_states": states}
        topic = connection.topic.rsplit("/", 1)[-1]
        if topic in kept:
            kept[topic].append(bag.deserialize(raw, connection.msgtype))
if not plans or not states:
    raise SystemExit(
        f"{path} holds {len(plans)} trajectories and {len(states)} joint states; at least one of each is needed"
    )

# The last plan, at the times of the measured states, joint by joint in the plan's order. Its first point comes after
# its stamp; at the stamp the arm is where it is measured.
plan, names = plans[-1], plans[-1].joint_names
begin = seconds(plan.header.stamp)
planned_time = np.array([0.0, *(seconds(point.time_from_start) for point in plan.points)])
during = [s for s in states if 0.0 <= seconds(s.header.stamp) - begin <= planned_time[-1] and set(names) <= set(s.name)]
if not during:
    raise SystemExit(f"{path} holds no joint states during its last trajectory")
time = np.array([seconds(state.header.stamp) - begin for state in during])
measured = np.array([[state.position[state.name.index(name)] for name in names] for state in during])
planned = np.array([measured[0], *(point.positions for point in plan.points)])
wanted = np.column_stack([np.interp(time, planned_time, column) for column in planned.T])
error = measured - wanted

print(f"{path}: {len(plans)} trajectories, {len(states)} joint states")
for report in reports[-1:]:
    print(f"last report: {report.data}")
print(f"largest tracking error {np.abs(error).max():.4f} rad ({names[np.abs(error).max(axis=0).argmax()]})")

figure, (top, bottom) = plt.subplots(2, 1, figsize=(9, 6), sharex=True, layout="constrained")
for i, name in enumerate(names):
    top.plot(planned_time, planned[:, i], "--", color=f"C{i}", linewidth=1)
    top.plot(time, measured[:, i], color=f"C{i}", label=name.removesuffix("_joint"))
    bottom.plot(time, 1e3 * error[:, i], color=f"C{i}")
top.set(ylabel="position [rad]", title="Planned (dashed) and measured joint positions")
top.legend(fontsize="small", ncols=3)
bottom.set(ylabel="tracking error [mrad]", xlabel="time since the trajectory's stamp [s]")
for axis in (top, bottom):
    axis.grid(alpha=0.3)
OUT.mkdir(parents=True, exist_ok=True)
figure.savefig(OUT / "5_bag.png", dpi=110)
print(f"picture: {OUT / '5_bag.png'}")
