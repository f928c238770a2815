"""Replan in every control cycle, without ROS: a receding horizon in closed loop with a simulated arm.

Every 10 ms the planner takes the measured state and plans a new motion that begins 20 ms later; in between, the
simulated arm is driven by the torques and feedback gains of the motion that it follows. The arm is 10 % heavier than
the model says, and the goal changes while the arm moves. The picture shows the distance of the tool to the goal, the
joint velocities and the CPU time of each cycle. Run it from the repository, after `make build`:

    .venv/bin/python examples/4_receding_horizon.py                # writes out/examples/4_receding_horizon.png
    .venv/bin/python examples/4_receding_horizon.py --seconds 1    # a shorter simulation
"""

from __future__ import annotations

import argparse
import time
from pathlib import Path

import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt
import numpy as np

from sobo_planner.motion import Brakes, Followed, Motion
from sobo_planner.paths import share_path
from sobo_planner.policy import Policy
from sobo_planner.receding import RecedingPlanner
from sobo_planner.receding.proposer import Proposer
from sobo_planner.safety import PlanChecker
from sobo_planner.tasks import load_task

OUT = Path("out/examples")
PERIOD = 0.01  # [s] from one cycle to the next
LEAD = 2 * PERIOD  # [s] from the beginning of a cycle to that of the motion which it plans
STEP = 1e-3  # [s] of the simulation and its controller
GOALS = np.array([[0.4, 0.3, 0.4], [-0.3, 0.5, 0.5], [0.2, -0.5, 0.3]])  # [m], one after the other

parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
parser.add_argument("--seconds", type=float, default=6.0, help="time to simulate [s]")
seconds = parser.parse_args().seconds

task = load_task("ur5")
checker = PlanChecker(task)
# The policy is rolled out in a thread of its own, because a rollout takes longer than a cycle.
proposer = Proposer(task, Policy.load(share_path("config/policies/ur5"), task))
planner = RecedingPlanner(task, checker, Brakes(task, checker), Followed(), proposer, budget=0.008, propose_every=25)

plant = task.robot.with_mass_scale(1.1)
x = np.concatenate([task.config.robot.home, np.zeros(task.nu)])
following: Motion | None = None  # what the arm follows
coming: list[Motion] = []  # motions that begin later
record: dict[str, list] = {"time": [], "distance": [], "velocity": [], "cycle_ms": []}

for cycle in range(round(seconds / PERIOD)):
    now = cycle * PERIOD
    goal = GOALS[min(int(now / seconds * len(GOALS)), len(GOALS) - 1)]
    began = time.thread_time()
    result = planner.cycle(x, measured=now, target=goal, handover=now + LEAD)
    record["cycle_ms"].append(1e3 * (time.thread_time() - began))
    if result.motion is not None:
        planner.followed.add(result.motion, now)
        coming.append(result.motion)
    record["time"].append(now)
    record["distance"].append(np.linalg.norm(task.robot.tool_position(x[: task.nu]) - goal))
    record["velocity"].append(x[task.nu :])
    for step in range(round(PERIOD / STEP)):
        moment = now + step * STEP
        while coming and coming[0].begin <= moment + 1e-9:
            following = coming.pop(0)
        torque = task.robot.gravity(x[: task.nu])  # until the first motion begins
        if following is not None:
            stage = following.stage(moment)
            torque = following.U[stage] + following.K[stage] @ (x - following.state(moment))
        x = plant.step(x, np.clip(torque, -task.torque_limit, task.torque_limit), STEP)
proposer.close()

print(f"{len(record['time'])} cycles, {np.median(record['cycle_ms']):.1f} ms of CPU time each in the median")
print(f"the tool ends {1e3 * record['distance'][-1]:.1f} mm from the last goal")

figure, axes = plt.subplots(3, 1, figsize=(9, 7), sharex=True, layout="constrained")
axes[0].semilogy(record["time"], 1e3 * np.array(record["distance"]))
axes[0].set(ylabel="distance to the goal [mm]", title="UR5, replanned every 10 ms; plant 10 % heavier than the model")
axes[1].plot(record["time"], record["velocity"], label=[n.removesuffix("_joint") for n in task.robot.joint_names])
axes[1].set_ylabel("joint velocity [rad/s]")
axes[1].legend(fontsize="small", ncols=3)
axes[2].plot(record["time"], record["cycle_ms"], ".", markersize=3)
axes[2].axhline(1e3 * PERIOD, color="0.5", linestyle="--", label="period")
axes[2].set(ylabel="CPU time of a cycle [ms]", xlabel="time [s]", ylim=(0.0, None))
axes[2].legend(fontsize="small")
for axis in axes:
    axis.grid(alpha=0.3)
    for i in range(1, len(GOALS)):
        axis.axvline(i * seconds / len(GOALS), color="0.5", linewidth=1, linestyle=":")

OUT.mkdir(parents=True, exist_ok=True)
figure.savefig(OUT / "4_receding_horizon.png", dpi=110)
print(f"picture: {OUT / '4_receding_horizon.png'}")
