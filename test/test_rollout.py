"""Policy rollouts: Algorithm 2 repeated by hand, limits, and repeatability."""

from __future__ import annotations

import numpy as np
import pytest

from sobo_planner.errors import PolicyError
from sobo_planner.policy.rollout import rollout, rollouts


@pytest.fixture(scope="module")
def instance(task):
    return task.sample(np.random.default_rng(11))


def test_rollout_is_algorithm_2(task, policy, instance) -> None:
    T_a = 24
    guess = rollout(task, policy, instance, T_a, rng=np.random.default_rng(0))
    rng = np.random.default_rng(0)
    x, X, U = instance.x0, [instance.x0], []
    while len(U) < task.horizon:
        chunk = policy.sample(x[None] if U else x, instance.target, rng, t=len(U))[0]
        np.testing.assert_allclose(chunk[0], policy.actions.history(x, np.zeros(6))[0], atol=1e-5)
        start = x
        for s in range(1, T_a + 1):
            if len(U) == task.horizon:
                break
            q, v = x[:6], x[6:]
            desired = policy.actions.decode(start, chunk[s])
            mean = 0.5 * (v + desired[6:])
            v_des = desired[6:] + task.config.policy.blend * ((desired[:6] - q) / task.dt - mean)
            v_des = np.clip(v_des, -task.robot.velocity_limit, task.robot.velocity_limit)
            a = np.clip((v_des - v) / task.dt, -task.acceleration_limit, task.acceleration_limit)
            u = task.robot.inverse_dynamics(q, v, a)
            U.append(np.clip(u, -task.torque_limit, task.torque_limit))
            x = task.robot.step(x, U[-1], task.dt, task.integrator)
            X.append(x)
    np.testing.assert_allclose(guess.X, X, atol=1e-8)
    np.testing.assert_allclose(guess.U, U, atol=1e-6)


def test_rollouts_repeat_with_their_seed_and_pick_the_cheapest(task, policy, instance) -> None:
    a, b = (rollouts(task, policy, instance, rng=np.random.default_rng(3), samples=4) for _ in range(2))
    np.testing.assert_array_equal(a.costs, b.costs)
    assert len(set(a.costs)) == 4
    best = a.best
    assert task.cost(best.X, best.U, instance.target) == a.costs.min()


def test_rollout_keeps_torque_and_velocity_limits(task, policy) -> None:
    rng = np.random.default_rng(5)
    for _ in range(5):
        guess = rollout(task, policy, task.sample(rng), rng=rng)
        assert np.all(np.abs(guess.U) <= task.torque_limit)
        assert np.all(np.isfinite(guess.X))


@pytest.mark.parametrize("T_a", [0, 32, -1])
def test_action_horizon_outside_a_chunk_is_refused(task, policy, instance, T_a) -> None:
    with pytest.raises(PolicyError, match=f"T_a={T_a} must lie in 1 ... 31"):
        rollout(task, policy, instance, T_a, rng=np.random.default_rng(0))
