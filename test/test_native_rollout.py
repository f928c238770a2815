"""Rollouts in one native call, beside the same in Python with the same noise."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from sobo_planner.errors import DeadlineError, PlanInterruptedError, PolicyError
from sobo_planner.paths import share_path
from sobo_planner.policy import Policy
from sobo_planner.policy import rollout as module
from sobo_planner.policy.native_rollout import can_roll_out, native_rollouts
from sobo_planner.solver import UNLIMITED, Budget, Instance, Interrupt
from sobo_planner.tasks import ArmReach, load_task
from sobo_planner.tasks.arm.timing import Pace


def carrying(task: ArmReach) -> ArmReach:
    task.robot.carry(2.0, (0.0, 0.05, 0.1))
    return task


VIEWS: dict[str, Callable[[ArmReach], ArmReach]] = {
    "as it is": lambda task: task,
    "slower": lambda task: task.paced(Pace(velocity_scaling=0.4, acceleration_scaling=0.3)),
    "a payload": lambda task: carrying(load_task("ur5")),
    "a pose": lambda task: task.with_orientation(),
}


def both(task: ArmReach, policy: Policy, instance: Instance, T_a: int, samples: int) -> list[tuple[np.ndarray, ...]]:
    """States and controls: natively, and chunk by chunk."""
    first, second = np.random.default_rng(3), np.random.default_rng(3)
    native = native_rollouts(policy, instance, task.horizon, T_a, first, samples, UNLIMITED)
    assert native is not None
    reference = module._chunk_by_chunk(task, policy, instance, second, T_a, samples, UNLIMITED)
    assert first.random() == second.random(), "both draw as many numbers"
    return [native, reference]


@pytest.mark.parametrize("view", VIEWS)
@pytest.mark.parametrize(("T_a", "samples"), [(8, 2), (24, 1)])
def test_the_same_numbers_as_in_python(
    view: str, T_a: int, samples: int, task: ArmReach, policy: Policy, rng: np.random.Generator
) -> None:
    served = VIEWS[view](task)
    policy = policy.serving(served)
    assert can_roll_out(policy)
    for _ in range(3):
        (X, U), (X_reference, U_reference) = both(served, policy, served.sample(rng), T_a, samples)
        np.testing.assert_allclose(X, X_reference, rtol=0.0, atol=1e-9)
        np.testing.assert_allclose(U, U_reference, rtol=0.0, atol=1e-6)


def test_another_arm() -> None:
    """The double pendulum swings in a vertical plane: its observation holds the first angle, too."""
    task = load_task("double_pendulum")
    policy = Policy.load(share_path("config/policies/double_pendulum"), task)
    assert not can_roll_out(policy), "it is no arm that reaches"


def test_rollouts_are_native_where_they_can_be(
    task: ArmReach, policy: Policy, rng: np.random.Generator, monkeypatch: pytest.MonkeyPatch
) -> None:
    instance = task.sample(rng)
    expected = module.rollouts(task, policy, instance, rng=np.random.default_rng(1), samples=2)
    monkeypatch.setattr(module, "_chunk_by_chunk", pytest.fail)
    found = module.rollouts(task, policy, instance, rng=np.random.default_rng(1), samples=2)
    np.testing.assert_array_equal(found.costs, expected.costs)


def test_it_ends_between_two_chunks(task: ArmReach, policy: Policy, rng: np.random.Generator) -> None:
    instance, interrupt = task.sample(rng), Interrupt()
    assert native_rollouts(policy, instance, task.horizon, 8, rng, 1, Budget(0.0)) is None
    interrupt.set()
    assert native_rollouts(policy, instance, task.horizon, 8, rng, 1, Budget(None, interrupt)) is None
    for budget, error in ((Budget(0.0), DeadlineError), (Budget(1e-3), DeadlineError)):
        with pytest.raises(error):
            module.rollouts(task, policy, instance, rng=rng, samples=8, budget=budget)
    with pytest.raises(PlanInterruptedError):
        module.rollouts(task, policy, instance, rng=rng, budget=Budget(None, interrupt))


def test_what_is_not_finite_is_refused(task: ArmReach, policy: Policy, rng: np.random.Generator) -> None:
    instance = task.sample(rng)
    for wrong in (Instance(np.full(task.nx, np.nan), instance.target), Instance(instance.x0, np.full(3, np.inf))):
        with pytest.raises(PolicyError, match="finite"):
            module.rollouts(task, policy, wrong, rng=rng)


def test_sizes_that_disagree_are_refused(task: ArmReach, policy: Policy, rng: np.random.Generator) -> None:
    with pytest.raises(PolicyError, match="does not fit an arm of 6 joints"):
        native_rollouts(policy, Instance(np.zeros(4), np.zeros(3)), task.horizon, 8, rng, 1, UNLIMITED)


@pytest.mark.parametrize("taken", [0, 1, 3])
def test_with_fewer_denoising_steps(taken: int, rng: np.random.Generator) -> None:
    """The engine's own sampling, and a step at a time."""
    task = load_task("ur5", **{"policy.denoising_steps": taken})
    policy = Policy.load(share_path("config/policies/ur5"), task)
    assert len(policy.sampler.steps) == (taken or policy.K)
    (X, U), (X_reference, U_reference) = both(task, policy, task.sample(rng), 16, 2)
    np.testing.assert_allclose(X, X_reference, rtol=0.0, atol=1e-9)
    np.testing.assert_allclose(U, U_reference, rtol=0.0, atol=1e-6)
    arrays = [rng.standard_normal(shape).astype("f4") for shape in ((2, 46), (2, 1, 12))]
    noise = policy.sampler.noise((2, policy.T_h, 12), rng)
    at_once, stepwise = (f(policy.engine, *arrays, noise) for f in (policy.sampler.sample, policy.sampler.step_by_step))
    np.testing.assert_allclose(at_once, stepwise, rtol=0.0, atol=1e-5)
