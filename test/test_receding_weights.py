"""Weights of a short-horizon problem, tuned through the closed loop."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from sobo_planner.errors import ConfigError
from sobo_planner.tasks import ArmReach, load_task
from sobo_training.receding_weights import ClosedLoop, TuningSettings, tune


@pytest.fixture(scope="module")
def arm() -> ArmReach:
    return load_task("ur5", horizon=20, dt=0.1)


@pytest.fixture(scope="module")
def loop(arm: ArmReach) -> ClosedLoop:
    return ClosedLoop(arm, load_task("ur5", horizon=8, dt=0.1), TuningSettings(steps=4, every=4))


def test_the_cost_is_that_of_the_task(arm: ArmReach) -> None:
    """With the whole motion in one solution, its own cost."""
    whole = ClosedLoop(arm, arm, TuningSettings(every=20))
    instance = arm.sample(np.random.default_rng(0))
    costs, valid = whole.costs([instance], torch.tensor(whole.layer.weights.values))
    solution = whole.layer(
        torch.tensor(instance.x0[None]),
        torch.tensor(instance.target[None]),
        weights=torch.tensor(whole.layer.weights.values),
    ).solutions[0]
    assert valid.all()
    assert costs.item() == pytest.approx(arm.cost(solution.X, solution.U, instance.target), rel=1e-6)


def test_the_gradient_goes_through_the_loop(arm: ArmReach, loop: ClosedLoop) -> None:
    instances = [arm.sample(np.random.default_rng(3))]
    weights = torch.tensor(loop.layer.weights.values, requires_grad=True)
    costs, _ = loop.costs(instances, weights)
    (gradient,) = torch.autograd.grad(costs.sum(), weights)
    i = 1  # of the velocities along the way
    h = 1e-3 * weights.detach()[i]
    step = h * torch.eye(len(weights))[i]
    with torch.no_grad():
        ahead, behind = (loop.costs(instances, weights + sign * step)[0].sum() for sign in (1.0, -1.0))
    assert gradient[i].item() == pytest.approx(((ahead - behind) / (2.0 * h)).item(), rel=0.02)


def test_tuning_lowers_the_cost(arm: ArmReach, loop: ClosedLoop) -> None:
    rng = np.random.default_rng(1)
    reported = []
    tuned, means = tune(loop, [arm.sample(rng) for _ in range(3)], lambda step, mean: reported.append((step, mean)))
    assert reported == list(enumerate(means))
    assert min(means) < 0.97 * means[0]
    assert tuned["running.position"] == pytest.approx(arm.config.problem.running.position)
    assert list(tuned) == list(loop.layer.weights.names)


def test_pieces_that_do_not_fit_are_refused(arm: ArmReach) -> None:
    with pytest.raises(ConfigError, match="every must divide the 20 steps"):
        ClosedLoop(arm, arm, TuningSettings(every=3))
    with pytest.raises(ConfigError, match="at least 1"):
        TuningSettings(steps=0)
