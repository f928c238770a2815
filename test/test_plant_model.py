"""The arm in MuJoCo beside the same arm in Pinocchio: two libraries read one URDF."""

from __future__ import annotations

import sys
from xml.etree import ElementTree

import numpy as np
import pytest
from robots import PANDA_FINGERS, PANDA_TOOL_FRAME, panda_urdf, ur5_reference_urdf, ur5_urdf

from sobo_planner.errors import PlantError
from sobo_planner.plant import Conditions, Plant
from sobo_planner.robot import Robot
from sobo_planner.tasks import load_task

pytest.importorskip("mujoco", reason="needs the extra `sim`")

LOCKED = {"panda_finger_joint1": 0.03, "panda_joint3": 0.7}


def shipped() -> Robot:
    return load_task("ur5").robot


def other_ur5() -> Robot:
    """Its tool frame names a fixed joint."""
    return Robot.from_urdf(ur5_reference_urdf(), "ee_fixed_joint", collision=False)


def panda() -> Robot:
    armature = np.linspace(0.1, 0.4, 7)
    urdf, tool = panda_urdf(), PANDA_TOOL_FRAME
    return Robot.from_urdf(urdf, tool, locked_joints=PANDA_FINGERS, armature=armature, collision=False)


def locked_panda() -> Robot:
    """A turning and a sliding joint are locked away from 0; another one mimics the latter."""
    return Robot.from_urdf(panda_urdf(), PANDA_TOOL_FRAME, locked_joints=LOCKED, collision=False)


def states(robot: Robot, count: int = 100):
    """Random q, v, and torques up to 100 Nm within the effort limits."""
    rng, n = np.random.default_rng(0), robot.nv
    for _ in range(count):
        torque = np.minimum(robot.effort_limit, 100.0) * rng.uniform(-1, 1, n)
        yield rng.uniform(-3, 3, n), rng.uniform(-3, 3, n), torque


def without_dry_friction(robot: Robot, **conditions) -> Plant:
    return Plant(robot, Conditions(friction=(0.0,) * robot.nv, **conditions))


@pytest.mark.parametrize("make", [shipped, other_ur5, panda, locked_panda])
def test_kinematics_and_accelerations(make) -> None:
    robot = make()
    plant = without_dry_friction(robot)
    for q, v, tau in states(robot):
        np.testing.assert_allclose(plant.tool_position(q), robot.tool_position(q), rtol=0, atol=1e-12)
        expected = robot.forward_dynamics(q, v, tau)
        scale = np.abs(expected).max()
        np.testing.assert_allclose(plant.acceleration(np.append(q, v), tau), expected, rtol=0, atol=1e-9 * scale)


@pytest.mark.parametrize("make", [shipped, locked_panda])
def test_mass_error_payload_damping_and_gravity(make) -> None:
    tilted = make().with_surroundings((3.0, -5.0, -7.0))
    damping = np.linspace(1.0, 3.0, tilted.nv)
    centre = (0.1, -0.02, 0.03)
    conditions = {"mass_error": 0.2, "payload": 2.5, "payload_centre": centre, "damping": tuple(damping)}
    plant = without_dry_friction(tilted, **conditions)
    same = tilted.with_surroundings((3.0, -5.0, -7.0), damping).with_mass_scale(1.2).with_payload(2.5, centre)
    for q, v, tau in states(tilted, 20):
        expected = same.forward_dynamics(q, v, tau)
        scale = np.abs(expected).max()
        np.testing.assert_allclose(plant.acceleration(np.append(q, v), tau), expected, rtol=0, atol=1e-9 * scale)


def test_what_the_robot_carries_does_not_count() -> None:
    robot = shipped()
    plants = [without_dry_friction(each) for each in (robot, robot.with_payload(3.0), robot.with_mass_scale(1.3))]
    x, u = np.full(12, 0.3), np.zeros(6)
    first, *others = (plant.acceleration(x, u) for plant in plants)
    for other in others:
        np.testing.assert_array_equal(first, other)


def test_a_description_that_mujoco_refuses() -> None:
    tree = ElementTree.parse(ur5_urdf())
    tree.find(".//link[@name='forearm_link']/inertial/inertia").set("izz", "7.0")  # more than the other two together
    robot = Robot(ElementTree.tostring(tree.getroot(), encoding="unicode"), "tool0", collision=False)
    with pytest.raises(PlantError, match=r"^MuJoCo refuses the description of ur5: .*inertia[^\n]*$"):
        Plant(robot)


def test_without_mujoco(monkeypatch) -> None:
    monkeypatch.setitem(sys.modules, "mujoco", None)
    with pytest.raises(PlantError, match=r"pip install 'sobo_planner\[sim\]'"):
        Plant(shipped())
