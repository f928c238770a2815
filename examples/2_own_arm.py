"""Bring an arm of your own: a URDF and a task file, and no code.

The arm is `examples/small_arm.urdf`, four joints and a gripper. The task file below has what every arm needs; all
other keys have defaults. Without a trained policy, planning starts from interpolations to inverse-kinematics
solutions. The picture shows the arm's motions to three goals, one after the other, the distance to the goal and the
largest share of a velocity limit. docs/robots.md explains each step. Run it from the repository, after `make build`:

    .venv/bin/python examples/2_own_arm.py        # writes out/examples/2_own_arm.png
"""

from __future__ import annotations

import tempfile
from pathlib import Path

import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt
import numpy as np

from sobo_planner.planning import Planner
from sobo_planner.robot import Robot
from sobo_planner.safety import PlanChecker
from sobo_planner.tasks import load_task

OUT = Path("out/examples")
URDF = Path(__file__).resolve().parent / "small_arm.urdf"
GOALS = np.array([[0.35, 0.35, 0.3], [-0.4, 0.3, 0.5], [0.4, -0.3, 0.6]])  # tool positions [m]

TASK_FILE = f"""
name: small_arm
kind: arm_reach
robot:
  urdf: {URDF}
  tool_frame: tool_tip             # the link that is brought to the goal
  base_frame: base                 # the frame that goals are given in
  locked_joints: {{finger_joint: 0.0}}
  home: [0.0, 0.6, 1.2, 0.6]       # a posture without collisions [rad]
  armature: [0.1, 0.1, 0.05, 0.02] # rotor inertia, seen through the gears [kg m^2]
problem:
  horizon: 100                     # 2 s
  dt: 0.02
  running: {{position: 10.0, velocity: 0.03, torque: 3.0e-4}}
  terminal: {{position: 100.0, velocity: 1.0}}
  velocity_limits: true
distribution:                      # where training starts and goes; planning does not need it
  r_init: 1
  r_tgt: 1
  start_centre: [0.0, 0.6, 1.2, 0.6]
  target: [0.35, 0.35, 0.3]
"""

# First look at the robot itself: joints, limits, the tool's position, and whether links touch.
robot = Robot.from_urdf(URDF, "tool_tip", locked_joints={"finger_joint": 0.0})
home = np.array([0.0, 0.6, 1.2, 0.6])
print(f"{robot.name}: joints {', '.join(robot.joint_names)}, torque limits {robot.effort_limit} N m")
print(f"tool at {robot.tool_position(home).round(3)} m, links in contact: {robot.colliding_pair(home)}")

with tempfile.TemporaryDirectory() as folder:
    path = Path(folder, "small_arm.yaml")
    path.write_text(TASK_FILE)
    task = load_task(path)
planner = Planner(task, checker=PlanChecker(task))

# One plan after the other; each begins where the one before ended, at rest.
q, plans = home, []
for goal in GOALS:
    plan = planner.plan(np.concatenate([q, np.zeros(task.nu)]), goal)
    print(f"to {goal}: {plan.status.value} from {plan.source} after {plan.iterations} iterations")
    print(f"  the tool ends {1e3 * plan.tool_error:.1f} mm from the goal")
    plans.append(plan)
    q = plan.X[-1, : task.nu]


def chain(q: np.ndarray) -> np.ndarray:
    """Points along the arm: base, joints, tool, (nq + 2, 3) [m]."""
    joints = [robot.joint_placement(q, i)[1] for i in range(robot.nq)]
    return np.array([np.zeros(3), *joints, robot.tool_position(q)])


figure = plt.figure(figsize=(12, 6), layout="constrained")
grid = figure.add_gridspec(2, 2, width_ratios=(1.0, 1.2))
axes = figure.add_subplot(grid[:, 0], projection="3d")
errors, speeds = figure.add_subplot(grid[0, 1]), figure.add_subplot(grid[1, 1])
for i, plan in enumerate(plans):
    colour = f"C{i}"
    Q = np.ascontiguousarray(plan.X[:, : task.nu])
    for t in range(0, len(Q), 8):
        axes.plot(*chain(Q[t]).T, "-", color=colour, alpha=0.25, linewidth=2)
    axes.plot(*chain(Q[-1]).T, "-o", color=colour, markersize=4, linewidth=3)
    tool = robot.tool_positions(Q)
    axes.plot(*tool.T, "--", color=colour, linewidth=1)
    axes.plot(*plan.goal[:, None], "*", color=colour, markeredgecolor="black", markersize=15)
    errors.semilogy(plan.time, 1e3 * np.linalg.norm(tool - plan.goal, axis=1), color=colour, label=f"goal {i + 1}")
    share = np.abs(plan.X[:, task.nu :]) / robot.velocity_limit
    speeds.plot(plan.time, share.max(axis=1), color=colour)
axes.set(xlabel="x [m]", ylabel="y [m]", zlabel="z [m]", title="Motions to three goals (stars)")
axes.set_aspect("equal")
axes.set_box_aspect(None, zoom=0.85)  # leaves space for the labels
axes.locator_params(nbins=5)
errors.set_ylabel("distance of the tool to its goal [mm]")
errors.legend()
speeds.axhline(1.0, color="0.5", linestyle="--")
speeds.set(ylabel="largest velocity / limit", xlabel="time [s]", ylim=(0.0, 1.1))
for panel in (errors, speeds):
    panel.grid(alpha=0.3)

OUT.mkdir(parents=True, exist_ok=True)
figure.savefig(OUT / "2_own_arm.png", dpi=110)
print(f"picture: {OUT / '2_own_arm.png'}")
