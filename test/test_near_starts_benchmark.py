"""How `benchmarks/near_starts.py` bends plans."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest

from sobo_planner.planning import Planner
from sobo_planner.tasks import ArmReach

sys.path.append(str(Path(__file__).parents[1] / "benchmarks"))

from near_starts import bent


def test_a_plan_is_bent_by_so_much_between_its_ends(task: ArmReach, home: np.ndarray, rng: np.random.Generator) -> None:
    plan = Planner(task, first_order=True).plan(np.concatenate([home, np.zeros(6)]), [0.4, 0.3, 0.4])
    start = bent(plan, 0.02, rng)
    off = start.guess.X[:, :6] - plan.X[:, :6]
    assert np.sqrt((off**2).mean()) == pytest.approx(0.02)
    np.testing.assert_allclose(off[[0, -1]], 0.0, atol=1e-15)
    np.testing.assert_array_equal(start.guess.X[0], plan.X[0])
    np.testing.assert_array_equal(start.way, start.guess.X[:, :6])
    # Velocities are bent by as much: their integral is the positions' change.
    dt = plan.time[1]
    speed = start.guess.X[:, 6:] - plan.X[:, 6:]
    np.testing.assert_allclose(np.cumsum(speed[1:-1] * dt, axis=0), off[1:-1] + 0.5 * (off[2:] - off[1:-1]), atol=2e-3)
    assert start.in_cell and start.duration == plan.duration
    np.testing.assert_array_equal(bent(plan, 0.0, rng).guess.X, plan.X)
