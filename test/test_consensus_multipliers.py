"""Multipliers, units and copies of consensus learning, on numbers that were made up."""

from __future__ import annotations

import numpy as np
import pytest

from sobo_planner.solver import Instance
from sobo_planner.tasks import load_task
from sobo_training.consensus.admm import LEAST_RANGE, Consensus, typical_size
from sobo_training.consensus.options import ConsensusOptions
from sobo_training.consensus.terms import Ranges
from sobo_training.consensus.trajectories import Trajectories

MU = 0.4


class Constant:
    """u = K x, whatever is learned."""

    def __init__(self, K):
        self.K = K

    def controls(self, X, targets):
        return X @ self.K.T

    def jacobians(self, X, targets):
        return np.broadcast_to(self.K, (*X.shape[:2], *self.K.shape))


@pytest.fixture
def task():
    return load_task("lqr", **{"problem.horizon": 5})


@pytest.fixture
def run(task, rng):
    """Makes a run after its warm steps: four instances, the second without a trajectory, the third not solved anew."""

    def make(**options) -> Consensus:
        instances = [Instance(rng.normal(size=task.nx), np.zeros(0)) for _ in range(4)]
        settings = ConsensusOptions(mu=MU, warm_steps=0, **options)
        made = Consensus(task, settings, Constant(rng.normal(size=(task.nu, task.nx))), instances)
        X, U = (rng.normal(size=each.shape) for each in (made.trajectories.X, made.trajectories.U))
        good = np.array([True, False, True, True])
        made.trajectories = Trajectories(X, U, made.trajectories.K, good, kept={2: "it failed"})
        own = made.multipliers
        own.controls, own.states, own.copies = (
            rng.normal(size=e.shape) for e in (own.controls, own.states, own.copies)
        )
        made.ranges = Ranges(np.linspace(0.5, 2.0, task.nu), np.linspace(0.3, 3.0, task.nx))
        return made

    return make


@pytest.mark.parametrize(
    ("options", "controls", "states"),
    [
        ({"method": "plal"}, True, False),
        ({"method": "plal", "shooting": True}, True, True),
        ({"method": "dpl"}, False, True),
        ({"method": "pddp"}, False, False),
    ],
)
def test_multipliers_move_by_mu_times_the_residual_where_the_solve_succeeded(run, options, controls, states):
    made = run(**options)
    own, found, K = made.multipliers, made.trajectories, made.policy.K
    before = own.controls.copy(), own.states.copy()
    X = found.X[:, :-1]
    at = own.copies if made.options.copies else X
    steps = MU * (found.U - at @ K.T) / made.ranges.control, MU * (X - own.copies) / made.ranges.state
    residual = made._update(found.good)
    apart = ((found.U - X @ K.T) / made.ranges.control)[found.good]
    assert residual == pytest.approx(np.sqrt((apart**2).sum(-1).mean()))
    for after, was, step, moves in zip((own.controls, own.states), before, steps, (controls, states), strict=True):
        for i in range(4):
            np.testing.assert_allclose(after[i], was[i] + step[i] if moves and i in (0, 3) else was[i], atol=1e-12)


def test_nothing_moves_in_warm_steps(run):
    made = run(method="plal")
    made.step, before = -1, made.multipliers.controls.copy()
    made._update(made.trajectories.good)
    np.testing.assert_array_equal(made.multipliers.controls, before)


def test_copies_minimise_the_augmented_lagrangian(run):
    """Of a linear policy the Gauss-Newton step ends in the minimum: its slope is zero there."""
    made = run(method="plal", shooting=True)
    own, found, K, ranges = made.multipliers, made.trajectories, made.policy.K, made.ranges
    other = own.copies[1].copy()
    made._move_copies(found.good)
    r = (found.U - own.copies @ K.T) / ranges.control + own.controls / MU
    s = (found.X[:, :-1] - own.copies) / ranges.state + own.states / MU
    slope = r / ranges.control @ K + s / ranges.state
    np.testing.assert_allclose(slope[found.good], 0.0, atol=1e-9)
    np.testing.assert_array_equal(own.copies[1], other)


def test_typical_sizes(task, run, rng):
    X = rng.normal(size=(3, 6, task.nx)) * np.linspace(1.0, 4.0, task.nx)
    sizes = typical_size(task, X)
    for group in task.state_groups:
        columns = [X[:, :, i] for i in range(task.nx)[group]]
        np.testing.assert_allclose(sizes[group], np.sqrt(np.mean([np.var(each) for each in columns])))
    np.testing.assert_array_equal(typical_size(task, np.ones((3, 6, task.nx))), LEAST_RANGE)
    for method, bounds in (("plal", True), ("pods", False)):
        made = run(method=method, sobolev=bounds, bounds=bounds)
        half, good = made.ranges.control, made.trajectories.good
        found = made._typical(good).control
        U = made.trajectories.U[good]
        expected = half if method == "pods" else np.maximum(U.std(axis=(0, 1)), LEAST_RANGE * half)
        np.testing.assert_allclose(found, expected)
