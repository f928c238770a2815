"""The plant's motions beside their closed forms, and what is measured of it."""

from __future__ import annotations

import numpy as np
import pytest

from sobo_planner.errors import PlantError
from sobo_planner.plant import Conditions, Plant, Sensor
from sobo_planner.plant import model as description
from sobo_planner.robot import Robot
from sobo_planner.tasks import load_task

pytest.importorskip("mujoco", reason="needs the extra `sim`")

INERTIA = 0.5  # of the wheel, [kg m^2]
WHEEL = f"""
<robot name="wheel">
  <link name="base"/>
  <link name="rim">
    <inertial><mass value="2"/><inertia ixx="0.3" iyy="0.3" izz="{INERTIA}" ixy="0" ixz="0" iyz="0"/></inertial>
  </link>
  <joint name="axle" type="revolute">
    <parent link="base"/><child link="rim"/><axis xyz="0 0 1"/>
    <limit lower="-10" upper="10" velocity="20" effort="6"/>
  </joint>
</robot>
"""


def wheel(**conditions) -> Plant:
    """One joint about the direction of gravity."""
    return Plant(Robot(WHEEL, "rim", collision=False), Conditions(**conditions))


def test_damping_slows_a_wheel_exponentially() -> None:
    plant, d, t = wheel(damping=(2.0,)), 2.0, 0.4
    q, v = plant.step([0.0, 3.0], [0.0], t)
    assert v == pytest.approx(3.0 * np.exp(-d / INERTIA * t), rel=1e-3)
    assert q == pytest.approx(3.0 * INERTIA / d * (1.0 - np.exp(-d / INERTIA * t)), rel=1e-3)


def test_dry_friction_stops_a_wheel_and_keeps_it() -> None:
    plant, f = wheel(friction=(1.5,)), 1.5
    stop = INERTIA * 3.0 / f
    q, v = plant.step([0.0, 3.0], [0.0], 0.5 * stop)
    assert v == pytest.approx(1.5, rel=1e-3)
    q, v = plant.step([q, v], [0.0], stop)
    assert q == pytest.approx(0.5 * INERTIA * 3.0**2 / f, rel=1e-3) and abs(v) < 1e-6
    x = plant.step([q, v], [0.95 * f], 1.0)
    assert abs(x[0] - q) < 1e-6
    x = plant.step([q, 0.0], [f + 1.0], 0.1)
    assert x[1] == pytest.approx(0.1 * 1.0 / INERTIA, rel=1e-3)


def test_dry_friction_of_mujoco_as_it_is_would_creep(monkeypatch) -> None:
    """Why its constants are set: without them the wheel of the test above moves."""
    monkeypatch.setattr(description, "FRICTION_TIME", 0.02)
    monkeypatch.setattr(description, "FRICTION_IMPEDANCE", 0.9)
    x = wheel(friction=(1.5,)).step([0.0, 0.0], [0.95 * 1.5], 1.0)
    assert x[0] > 1e-4


def test_torques_are_cut_off_at_the_limits() -> None:
    plant = wheel()
    for torque, used in ((600.0, 6.0), (-600.0, -6.0), (5.9, 5.9)):
        assert plant.acceleration([0.0, 0.0], [torque])[0] == pytest.approx(used / INERTIA, rel=1e-12)


def test_pushes_have_no_limit() -> None:
    plant = wheel()
    assert plant.step([0.0, 0.0], [60.0], 0.1, [60.0])[1] == pytest.approx(0.1 * (6.0 + 60.0) / INERTIA, rel=1e-9)
    assert plant.step([0.0, 0.0], [1.0], 0.1)[1] == pytest.approx(0.1 * 1.0 / INERTIA, rel=1e-9)


def test_a_swing_as_pinocchio_computes_it() -> None:
    """A second from rest without torques; Pinocchio in steps of 0.1 ms, with the position of constant accelerations."""
    robot = load_task("ur5").robot
    plant = Plant(robot, Conditions(friction=(0.0,) * 6))
    x = expected = np.append(load_task("ur5").config.robot.home, np.zeros(6))
    for _ in range(50):
        x = plant.step(x, np.zeros(6), 0.01)
    expected = robot.simulate(expected, np.zeros((5000, 6)), 1e-4, "constant_acceleration")[-1]
    moved = np.abs(expected - np.append(load_task("ur5").config.robot.home, np.zeros(6)))
    assert moved.max() > 1.0
    np.testing.assert_allclose(x, expected, rtol=0, atol=2e-3)


def test_the_same_steps_give_the_same_states() -> None:
    plant = wheel(friction=(1.0,), damping=(0.5,))
    runs = [[plant.step([0.1, v], [0.7], 0.003) for v in (1.0, -2.0, 0.0)] for _ in range(2)]
    np.testing.assert_array_equal(*runs)


def test_what_the_robot_knows_of_friction_is_the_default() -> None:
    robot = Robot(WHEEL, "rim", collision=False).with_surroundings(damping=(0.7,), friction=(0.2,))
    x = [0.0, 2.0]
    assert Plant(robot).acceleration(x, [0.0])[0] == pytest.approx(-(0.7 * 2.0 + 0.2) / INERTIA, rel=1e-6)


@pytest.mark.parametrize(
    ("change", "word"),
    [
        ({"payload": -1.0}, "payload"),
        ({"latency": float("nan")}, "latency"),
        ({"position_noise": -1e-3}, "position_noise"),
        ({"velocity_noise": float("inf")}, "velocity_noise"),
        ({"mass_error": -1.0}, "mass_error"),
        ({"damping": (1.0, 2.0)}, "damping"),
        ({"friction": (-1.0,)}, "friction"),
        ({"friction": (float("nan"),)}, "friction"),
    ],
)
def test_impossible_conditions_are_refused(change, word) -> None:
    with pytest.raises(PlantError, match=f"^{word} "):
        wheel(**change)


def test_a_late_sensor() -> None:
    states = [np.array([float(k), -float(k)]) for k in range(10)]
    sensor = Sensor(states[0], Conditions(latency=0.003), 1e-3)
    seen = [sensor.measure(x)[0] for x in states]
    assert seen == [0, 0, 0, 0, 1, 2, 3, 4, 5, 6]
    punctual = Sensor(states[0], Conditions(), 1e-3)
    assert [punctual.measure(x)[0] for x in states] == list(range(10))


def test_noise_of_a_sensor() -> None:
    conditions = Conditions(position_noise=1e-3, velocity_noise=0.1, seed=4)
    x = np.array([1.0, 2.0, 3.0, 4.0])
    sensors = [Sensor(x, conditions, 1e-3) for _ in range(2)]
    seen = np.array([sensors[0].measure(x) for _ in range(2000)])
    np.testing.assert_array_equal(seen[:5], [sensors[1].measure(x) for _ in range(5)])
    np.testing.assert_allclose(seen.mean(axis=0), x, atol=0.02)
    np.testing.assert_allclose(seen.std(axis=0), [1e-3, 1e-3, 0.1, 0.1], rtol=0.1)
