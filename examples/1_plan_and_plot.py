"""Plan one motion of the UR5 and plot it.

The shipped policy proposes a trajectory, the solver refines it, and the result is a `Plan`: states X, torques U and
feedback gains K over time. The picture shows the arm along the way, the joint positions and velocities, and the
torques as a share of their limits. Run it from the repository, after `make build`:

    .venv/bin/python examples/1_plan_and_plot.py        # writes out/examples/1_plan.png
"""

from __future__ import annotations

from pathlib import Path

import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt
import numpy as np

from sobo_planner.paths import share_path
from sobo_planner.planning import Planner
from sobo_planner.policy import Policy
from sobo_planner.safety import PlanChecker
from sobo_planner.tasks import load_task

OUT = Path("out/examples")

# The task holds the robot, the costs and the limits; the policy was trained for it; the checker passes every plan.
task = load_task("ur5")
policy = Policy.load(share_path("config/policies/ur5"), task)
planner = Planner(task, policy, PlanChecker(task))

# The arm stands in its home posture; its tool shall move to a position in the base frame [m].
home = np.array(task.config.robot.home)
state = np.concatenate([home, np.zeros(6)])
plan = planner.plan(state, goal=[-0.3, 0.5, 0.5])
print(f"{plan.status.value} from {plan.source}: {plan.iterations} iterations, {plan.phases_ms['total']:.0f} ms")
print(f"cost {plan.cost:.3f}, the tool ends {1e3 * plan.tool_error:.1f} mm from the goal")

# The arm as a chain of points: the base, the origins of the joints, the tool.
robot = task.robot
Q, V = np.split(plan.X, 2, axis=1)


def chain(q: np.ndarray) -> np.ndarray:
    """Points along the arm, (nq + 2, 3) [m]."""
    joints = [robot.joint_placement(q, i)[1] for i in range(robot.nq)]
    return np.array([np.zeros(3), *joints, robot.tool_position(q)])


figure = plt.figure(figsize=(12, 6), layout="constrained")
grid = figure.add_gridspec(3, 2, width_ratios=(1.0, 1.2))
axes = figure.add_subplot(grid[:, 0], projection="3d")
colours = plt.get_cmap("viridis")
for t in range(0, len(Q), 10):
    axes.plot(*chain(Q[t]).T, "-o", color=colours(t / len(Q)), markersize=3, linewidth=2)
axes.plot(*robot.tool_positions(np.ascontiguousarray(Q)).T, color="0.4", linewidth=1, label="path of the tool")
axes.plot(*plan.goal[:, None], "r*", markersize=14, label="goal")
axes.set(xlabel="x [m]", ylabel="y [m]", zlabel="z [m]")
axes.set_title(f"The arm every {10 * plan.time[1]:.2f} s, from dark to light")
axes.set_aspect("equal")
axes.set_box_aspect(None, zoom=0.85)  # leaves space for the labels
axes.locator_params(nbins=5)
axes.legend(loc="lower left")

names = [name.removesuffix("_joint") for name in robot.joint_names]
rows = (
    ("position [rad]", plan.time, Q),
    ("velocity [rad/s]", plan.time, V),
    ("torque / limit", plan.time[:-1], plan.U / task.torque_limit),
)
for row, (label, time, values) in enumerate(rows):
    panel = figure.add_subplot(grid[row, 1])
    panel.plot(time, values, label=names)
    panel.set(ylabel=label, xlim=(0.0, plan.time[-1]))
    panel.grid(alpha=0.3)
    if row == 0:
        panel.legend(fontsize="small", ncols=6, columnspacing=1.0, loc="lower center", bbox_to_anchor=(0.5, 1.0))
panel.set_xlabel("time [s]")

OUT.mkdir(parents=True, exist_ok=True)
figure.savefig(OUT / "1_plan.png", dpi=110)
print(f"picture: {OUT / '1_plan.png'}")
