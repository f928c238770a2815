"""The laws of controllers, recomputed from their definitions."""

from __future__ import annotations

import dataclasses

import numpy as np
import pinocchio as pin
import pytest
from robots import ur5_urdf
from scipy.interpolate import CubicHermiteSpline

from sobo_planner.planning import Plan, PlanStatus
from sobo_planner.plant import EffortLaw, PositionLaw, laws
from sobo_planner.tasks import load_task

TIMES = np.linspace(0.0, 0.5, 501)


@pytest.fixture(scope="module")
def task():
    return load_task("ur5")


@pytest.fixture(scope="module")
def plan() -> Plan:
    """Random numbers: a law does not care."""
    rng = np.random.default_rng(0)
    return Plan(
        status=PlanStatus.CONVERGED,
        time=np.linspace(0.0, 0.4, 5),
        X=rng.normal(size=(5, 12)),
        U=rng.normal(size=(4, 6)),
        K=rng.normal(size=(4, 6, 12)),
        cost=0.0,
        violation=0.0,
        iterations=1,
        tool_error=0.0,
        source="policy",
        phases_ms={},
        goal=np.zeros(3),
    )


def test_splines(plan) -> None:
    spline = CubicHermiteSpline(plan.time, plan.X[:, :6], plan.X[:, 6:])
    found = laws.splines(plan.time, plan.X, TIMES)
    moving = plan.time[-1] > TIMES
    np.testing.assert_allclose(found[moving, :6], spline(TIMES[moving]), atol=1e-12)
    np.testing.assert_allclose(found[moving, 6:], spline(TIMES[moving], 1), atol=1e-10)
    rest = np.append(plan.X[-1, :6], np.zeros(6))
    np.testing.assert_allclose(found[~moving], np.tile(rest, (101, 1)), rtol=0, atol=1e-15)


def test_effort(task, plan) -> None:
    plan = dataclasses.replace(plan, K=np.abs(plan.K))  # gains that do not hold a joint leave the reference as it is
    law, off = EffortLaw(task.robot, plan, TIMES), np.linspace(-0.01, 0.01, 12)
    desired = laws.splines(plan.time, plan.X, TIMES)
    np.testing.assert_array_equal(law.desired, desired)
    for k, stage in ((0, 0), (99, 0), (100, 1), (250, 2), (300, 3), (399, 3)):  # steps of 0.1 s, times of 1 ms
        expected = plan.U[stage] + plan.K[stage] @ off
        np.testing.assert_allclose(law.torque(k, desired[k] + off), expected, atol=1e-12)
    rest = np.append(plan.X[-1, :6], np.zeros(6))
    for k in (400, 500):
        expected = task.robot.gravity(plan.X[-1, :6]) + plan.K[-1] @ off
        np.testing.assert_allclose(law.torque(k, rest + off), expected, atol=1e-12)


def test_effort_far_behind_the_plan(task, plan) -> None:
    """The joint is led to 0.98 of its rated speed, whatever the distance."""
    slow = dataclasses.replace(plan, X=0.01 * plan.X)
    held = dataclasses.replace(slow, K=np.tile(np.hstack([-1000.0 * np.eye(6), -50.0 * np.eye(6)]), (4, 1, 1)))
    law = EffortLaw(task.robot, held, TIMES)
    off = np.append(np.full(6, -1.0), np.zeros(6))
    found = law.torque(120, law.desired[120] + off) - plan.U[1]
    np.testing.assert_allclose(found, 50.0 * (0.98 * task.robot.velocity_limit - law.desired[120, 6:]))


def test_the_plan_stays_as_it_is(task, plan) -> None:
    before = dataclasses.replace(plan, U=plan.U.copy(), X=plan.X.copy(), K=plan.K.copy())
    EffortLaw(task.robot, plan, TIMES).torque(3, np.ones(12))
    for name in "XUK":
        np.testing.assert_array_equal(getattr(plan, name), getattr(before, name))


def test_position(task, plan) -> None:
    home, x = np.array(task.config.robot.home), np.linspace(-1.0, 1.0, 12)
    law = PositionLaw(task.robot, plan, TIMES, home)
    model = pin.buildModelFromUrdf(str(ur5_urdf()))
    data = model.createData()
    inertia = np.diag(pin.crba(model, data, home)) + task.config.robot.armature
    error = laws.splines(plan.time, plan.X, TIMES)[120] - x
    expected = inertia * (laws.FREQUENCY**2 * error[:6] + 2.0 * laws.FREQUENCY * error[6:])
    expected += pin.computeGeneralizedGravity(model, data, x[:6])
    np.testing.assert_allclose(law.torque(120, x), expected, rtol=1e-9)
