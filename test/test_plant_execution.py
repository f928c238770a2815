"""Plans played on the plant."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from sobo_planner.planning import Planner
from sobo_planner.plant import Conditions, Interface, Plant, execute
from sobo_planner.plant.execution import PERIOD
from sobo_planner.safety import PlanChecker
from sobo_planner.tasks import load_task
from sobo_training.data.instances import Stream, draw

pytest.importorskip("mujoco", reason="needs the extra `sim`")

HEAVY = {"damping": (10.0, 10.0, 6.0, 1.5, 1.5, 1.5), "friction": (8.0, 8.0, 6.0, 2.0, 2.0, 2.0)}


@pytest.fixture(scope="module")
def task():
    return load_task("ur5")


@pytest.fixture(scope="module")
def plans(task):
    planner = Planner(task, checker=PlanChecker(task))
    instances = [task.sample(np.random.default_rng(seed)) for seed in range(3)]
    return [planner.plan(instance.x0, instance.target) for instance in instances]


@pytest.fixture(scope="module")
def nominal(task):
    return Plant(task.robot)


def run(task, plans, interface=Interface.EFFORT, **conditions):
    plant = Plant(task.robot, Conditions(**conditions))
    return [execute(task, plan, plant, interface) for plan in plans]


def test_figures_follow_from_the_states(task, plans, nominal) -> None:
    plan = plans[0]
    found = execute(task, plan, nominal, Interface.EFFORT)
    end = round(plan.duration / PERIOD)
    assert len(found.time) == len(found.X) == len(found.desired) == len(found.torque) + 1
    assert found.time[end] == pytest.approx(plan.duration, abs=PERIOD)
    assert found.time[-1] == pytest.approx(plan.duration + 1.0, abs=PERIOD)
    np.testing.assert_array_equal(found.X[0], plan.X[0])
    robot = task.robot
    tool, meant = robot.tool_positions(found.X[:, :6]), robot.tool_positions(found.desired[:, :6])
    assert found.final_error == pytest.approx(np.linalg.norm(tool[end] - plan.goal), abs=1e-9)
    assert found.settled_error == pytest.approx(np.linalg.norm(tool[-1] - plan.goal), abs=1e-9)
    on_the_way = np.linalg.norm(tool - meant, axis=1)[: end + 1].max()
    assert found.tracking_error == pytest.approx(on_the_way, abs=1e-9)
    assert found.speed_share == np.max(np.abs(found.X[:, 6:]) / robot.velocity_limit)
    assert found.torque_share == np.max(np.abs(found.torque) / robot.effort_limit)


def test_steps_are_those_of_the_plant(task, plans, nominal) -> None:
    found = execute(task, plans[0], nominal, Interface.EFFORT)
    for k in (0, 100, len(found.torque) - 1):
        np.testing.assert_allclose(found.X[k + 1], nominal.step(found.X[k], found.torque[k], PERIOD), atol=1e-9)


def test_the_arm_follows_a_plan_with_either_interface(task, plans) -> None:
    for found in run(task, plans):
        assert found.final_error < 0.01 and found.settled_error < 0.01 and found.tracking_error < 0.002
        assert found.speed_share < 1.01 and found.torque_share < 1.0
    hard = run(task, plans, Interface.POSITION, **HEAVY, mass_error=0.1, latency=0.005)
    for plan, found in zip(plans, hard, strict=True):
        assert max(found.final_error, found.settled_error) < plan.tool_error + 0.003


def test_friction_mass_and_latency_that_the_plan_does_not_know(task, plans) -> None:
    usual = run(task, plans)
    for found, easy in zip(run(task, plans, **HEAVY, mass_error=0.1, latency=0.005), usual, strict=True):
        assert found.settled_error < 0.01 and found.tracking_error > 2.0 * easy.tracking_error


def test_gains_of_the_wrong_sign_are_found_out(task, plans) -> None:
    wrong = [dataclasses.replace(plan, K=-plan.K) for plan in plans]
    assert min(found.settled_error for found in run(task, wrong)) > 0.05


def test_a_payload_has_to_be_known(task, plans) -> None:
    """What its weight bends the springs of the feedback by, the knowledge of it takes away."""
    loaded = task.robot.with_payload(3.0)
    known = type(task)(task.config, loaded)
    planner = Planner(known, checker=PlanChecker(known))
    aware = [planner.plan(plan.X[0], plan.goal) for plan in plans]
    for found, blind in zip(run(known, aware, payload=3.0), run(task, plans, payload=3.0), strict=True):
        assert found.settled_error < 0.005 and found.tracking_error < 0.3 * blind.tracking_error


def test_noise_is_the_same_every_time(task, plans) -> None:
    noisy = {"position_noise": 1e-4, "velocity_noise": 1e-2}
    first, again, other = (run(task, plans[:1], **noisy, seed=seed)[0] for seed in (1, 1, 2))
    np.testing.assert_array_equal(first.X, again.X)
    assert np.abs(first.X - other.X).max() > 1e-6


def test_an_arm_that_lacked_torque_catches_up_within_its_speed(task) -> None:
    """The shoulder cannot lift a load that nobody told of as fast as planned."""
    instance, _ = draw(task, Stream.EVALUATE, 1, 44)
    plan = Planner(task, checker=PlanChecker(task)).plan(instance.x0, instance.target)
    found = execute(task, plan, Plant(task.robot, Conditions(payload=3.0)), Interface.EFFORT)
    lacking = np.abs(found.torque[:, 1]) > task.robot.effort_limit[1]
    assert lacking.sum() > 0.2 / PERIOD and found.tracking_error > 0.05
    assert found.speed_share < 1.01 and found.settled_error < 0.01
