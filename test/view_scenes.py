"""Plans that the tests of the viewer show."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from sobo_planner.paths import share_path
from sobo_planner.robot.kinematics import minimum_jerk
from sobo_planner.tasks import ArmReach
from sobo_planner.view.scene import Motion, Scene
from sobo_planner.world import read_world

SHELF = Path("config/worlds/shelf.yaml")


def shelf_task(task: ArmReach) -> ArmReach:
    """The UR5's task in the world that is shipped."""
    return task.with_world(read_world(share_path(SHELF), task.robot.root_link))


def swing(task: ArmReach, by: float, lift: float = 0.3, steps: int = 20) -> Motion:
    """A motion of the first three joints from home by an angle [rad], lifted by a share of it, 0.1 s a step."""
    home = np.array(task.config.robot.home)
    Q, _ = minimum_jerk(home, home + by * np.array([1.0, lift, -lift, 0.0, 0.0, 0.0]), steps, 0.1)
    return Motion(0.1 * np.arange(steps + 1), Q)


def swinging_scene(task: ArmReach) -> Scene:
    """A plan with a proposal and an executed motion, which differ."""
    plan, proposal, executed = swing(task, 0.8), swing(task, 0.6, -0.5), swing(task, 0.79)
    goal = np.asarray(task.robot.tool_position(plan.Q[-1]))
    return Scene(task.robot, goal, "position", plan, proposal, executed, "a plan")
