"""The cost on links that come near each other, against Coal's distances and finite differences, and tasks with it."""

from __future__ import annotations

import numpy as np
import pinocchio as pin
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from robots import PANDA_FINGERS, PANDA_TOOL_FRAME, panda_urdf
from test_urdf_collisions import load

from sobo_planner import _native
from sobo_planner.errors import SolverError
from sobo_planner.robot import Robot
from sobo_planner.solver import Precision, Refinement, RefinementSolvers
from sobo_planner.tasks import load_task

MARGIN = 0.02
# Joints anywhere: a quarter of such configurations is in self-collision, nearly all have a pair within the margin.
seeds = st.integers(0, 2**32 - 1)


def configuration(seed: int) -> np.ndarray:
    return np.random.default_rng(seed).uniform(-np.pi, np.pi, 6)


def penalty(robot, q: np.ndarray, margin: float = MARGIN, weight: float = 1.0):
    """Value, gradient (2 n,) and Hessian (2 n, 2 n) of the penalty alone."""
    rest, weights = np.zeros(len(q)), _native.ReachWeights()
    weights.position, weights.state, weights.control = np.zeros(3), np.tile(rest, 2), rest
    weights.state_reference, weights.control_reference = np.tile(rest, 2), rest
    weights.self_distance, weights.self_margin = weight, margin
    return _native.reach_cost(robot.native, weights, np.zeros(3), np.concatenate([q, rest]))


def slopes(robot, q: np.ndarray, margin: float = MARGIN, h: float = 1e-6) -> np.ndarray:
    """The derivatives of the penalty by the joints, (n,), from its values."""
    pairs = [(penalty(robot, q + h * e, margin)[0], penalty(robot, q - h * e, margin)[0]) for e in np.eye(len(q))]
    return np.array([(after - before) / (2 * h) for after, before in pairs])


def distances(q: np.ndarray) -> np.ndarray:
    """Signed distances of all pairs that are compared, by Pinocchio's own bindings."""
    model, geometry = load()
    data = geometry.createData()
    pin.computeDistances(model, model.createData(), geometry, data, q)
    return np.array([result.min_distance for result in data.distanceResults])


@given(seed=seeds)
def test_value_is_the_sum_over_all_pairs(task, seed) -> None:
    q = configuration(seed)
    lack = np.maximum(MARGIN - distances(q), 0.0)
    value = penalty(task.robot, q)[0]
    # Coal's distances are known to a micrometre, where it began included.
    assert value == pytest.approx(lack @ lack, rel=1e-6, abs=2e-6 * lack.sum())
    assert penalty(task.robot, q, weight=7.0)[0] == pytest.approx(7.0 * value)


@given(seed=seeds)
def test_collisions_are_those_of_the_checks(task, seed) -> None:
    q = configuration(seed)
    assert (penalty(task.robot, q, margin=1e-9)[0] > 0.0) == (task.robot.colliding_pair(q) is not None)


@given(seed=seeds)
def test_gradient_against_finite_differences(task, seed) -> None:
    q = configuration(seed)
    gradient = penalty(task.robot, q)[1]
    np.testing.assert_allclose(gradient[:6], slopes(task.robot, q), atol=1e-3)  # Coal searches edges to 1e-6 m
    np.testing.assert_array_equal(gradient[6:], 0.0)


def test_gradient_with_meshes() -> None:
    panda = Robot.from_urdf(panda_urdf(), PANDA_TOOL_FRAME, locked_joints=PANDA_FINGERS)
    rng = np.random.default_rng(0)
    near = 0
    for _ in range(12):
        q = rng.uniform(panda.position_lower, panda.position_upper)
        value, gradient, _ = penalty(panda, q, margin=0.05)
        near += value > 0.0 and panda.colliding_pair(q) is None
        np.testing.assert_allclose(gradient[:7], slopes(panda, q, margin=0.05), atol=1e-6)
    assert near >= 3


@given(seed=seeds)
def test_hessian_is_gauss_newton(task, seed) -> None:
    """Of one pair, with value l^2 and gradient g: g g' / (2 l^2); with a margin that leaves the nearest pair alone."""
    q = configuration(seed)
    nearest, second = np.sort(distances(q))[:2]
    assume(nearest + second > 0.0 and second - nearest > 2e-4)
    value, gradient, hessian = penalty(task.robot, q, margin=0.5 * (nearest + second))
    np.testing.assert_allclose(hessian, np.outer(gradient, gradient) / (2 * value), atol=1e-9)


def test_far_links_cost_nothing(task, home) -> None:
    assert distances(home).min() > 0.005
    value, gradient, hessian = penalty(task.robot, home, margin=0.005)
    assert value == 0.0 and not gradient.any() and not hessian.any()


@pytest.mark.parametrize("name", ["self_distance", "self_margin"])
@pytest.mark.parametrize("value", [-1.0, np.nan, np.inf])
def test_weights_and_margins_that_cannot_be_meant_are_refused(task, home, name, value) -> None:
    arguments = {"weight" if name == "self_distance" else "margin": value}
    with pytest.raises(SolverError, match="self-distance must be non-negative numbers, got"):
        penalty(task.robot, home, **arguments)


FOLDED = np.array([0.0, -1.57, 3.1, 0.0, 0.0, 0.0])


def staying(task, q: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """An arm that stays at q, whatever that takes."""
    x = np.concatenate([q, np.zeros(6)])
    return np.tile(x, (task.horizon + 1, 1)), np.zeros((task.horizon, 6))


def cost(task, trajectory, target, **parts) -> float:
    """Cost of a trajectory with parts of the problem switched on."""
    return RefinementSolvers(task).solver(Refinement(**parts)).cost(*trajectory, target)


def test_clearance_costs_where_links_are_near_and_nowhere_else(task, home) -> None:
    target = np.array([0.4, 0.3, 0.4])
    free, folded = staying(task, home), staying(task, FOLDED)
    assert cost(task, free, target, clearance=2e3) == task.cost(*free, target)
    extra = cost(task, folded, target, clearance=2e3) - task.cost(*folded, target)
    assert extra > 1.0
    more = cost(task, folded, target, clearance=2e4) - task.cost(*folded, target)
    assert more == pytest.approx(10 * extra)


@pytest.mark.parametrize("pose", [False, True])
@pytest.mark.parametrize("precision", Precision)
def test_clearance_goes_with_the_other_parts(task, pose, precision) -> None:
    task = task.with_orientation() if pose else task
    target = np.concatenate([[0.4, 0.3, 0.4], [0.0, 1.0, 0.0, 0.0]])[: task.goal_size]
    folded = staying(task, FOLDED)
    apart = cost(task, folded, target, clearance=2e3) - task.cost(*folded, target)
    parts = {"precision": precision, "position_limits": True}
    both = cost(task, folded, target, clearance=2e3, **parts) - cost(task, folded, target, **parts)
    assert both == pytest.approx(apart) and apart > 1.0


def test_without_collision_shapes_nothing_is_avoided() -> None:
    bare = load_task("ur5", **{"robot.collision": False})
    target, folded = np.array([0.4, 0.3, 0.4]), staying(bare, FOLDED)
    assert cost(bare, folded, target, clearance=2e3) == bare.cost(*folded, target)


def test_the_end_weighs_as_much_as_a_short_time_and_stages_as_long_as_they_are(task) -> None:
    """Weights are per second: an end that weighed like a whole second would bend a motion for its last state."""
    problem = task.config.problem
    for length, weight in ((0.02, 0.02), (0.05, 0.05), (1.0, 0.1)):
        found = task._weights(problem.running, 0.0, length, 1.0, 2000.0)
        assert found.self_distance == pytest.approx(2000.0 * weight)
