"""The solver as a layer of torch."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from sobo_planner.errors import SolverError
from sobo_planner.solver import Solver, SolverOptions
from sobo_planner.tasks import Task, load_task
from sobo_training.optimal_layer import OptimalLayer, Terms

EXACT = SolverOptions(tol=1e-8, early_stop=0.0)


@pytest.fixture(scope="module")
def lqr() -> Task:
    return load_task("lqr", horizon=10)


@pytest.fixture(scope="module")
def flight() -> Task:
    return load_task("quadrotor", horizon=20, dt=0.1)


def starts(task: Task, count: int, seed: int = 0) -> tuple[torch.Tensor, torch.Tensor]:
    rng = np.random.default_rng(seed)
    instances = [task.sample(rng) for _ in range(count)]
    return (
        torch.tensor(np.array([each.x0 for each in instances])),
        torch.tensor(np.array([each.target for each in instances])),
    )


def test_gradients_of_a_linear_problem_by_torch_s_own_check(lqr: Task) -> None:
    layer = OptimalLayer(lqr, EXACT)
    x0, _ = starts(lqr, 2)
    rng = torch.Generator().manual_seed(0)
    root = 0.3 * torch.randn(10, 6, 6, generator=rng, dtype=torch.double)
    g = torch.randn(2, 10, 6, generator=rng, dtype=torch.double)
    last = torch.randn(2, 4, generator=rng, dtype=torch.double)

    def solve(x0, root, g, last):
        H = root[:1] @ root[:1].mT
        optima = layer(x0, terms=Terms(H.expand(10, 6, 6), g, torch.eye(4).double(), last))
        return optima.X[:, ::3], optima.U[:, ::4]

    inputs = [each.requires_grad_() for each in (x0, root[:1], g, last)]
    assert torch.autograd.gradcheck(solve, inputs, atol=1e-5, fast_mode=True)


def test_gradients_by_weights_and_targets(flight: Task) -> None:
    layer = OptimalLayer(flight, EXACT)
    x0, target = starts(flight, 2)
    assert layer.weights.names[0] == "running.position"
    log_weights = torch.tensor(np.log(layer.weights.values))

    def solve(target, log_weights):
        return layer(x0, target, weights=log_weights.exp()).X[:, 5::5]

    inputs = (target.requires_grad_(), log_weights.requires_grad_())
    assert torch.autograd.gradcheck(solve, inputs, eps=1e-5, atol=1e-4, fast_mode=True)


def test_an_older_batch_has_its_own_gradients(flight: Task) -> None:
    x0, target = starts(flight, 3)
    target.requires_grad_()
    layer = OptimalLayer(flight, EXACT)

    def slope(*, other: bool) -> torch.Tensor:
        optima = layer(x0, target)
        if other:
            layer(*starts(flight, 3, seed=1))
        (gradient,) = torch.autograd.grad(optima.X[:, 10].square().sum(), target)
        return gradient

    torch.testing.assert_close(slope(other=True), slope(other=False), rtol=1e-5, atol=1e-6)


def test_what_did_not_converge_is_flagged_and_has_no_gradient(flight: Task) -> None:
    x0, target = starts(flight, 2)
    target.requires_grad_()
    start = Solver(flight, EXACT)
    layer = OptimalLayer(flight, SolverOptions(max_iterations=1, retry=False))
    instance = flight.sample(np.random.default_rng(0))
    solution = start.solve(instance, flight.interpolate(instance))
    optima = layer(x0, target, guesses=[solution, flight.interpolate(instance)])
    assert optima.valid.tolist() == [True, False]
    optima.X.sum().backward()
    assert target.grad is not None
    assert target.grad[0].abs().max() > 0.0
    assert target.grad[1].abs().max() == 0.0


def test_descent_finds_the_weights_that_made_a_motion(flight: Task) -> None:
    layer = OptimalLayer(flight, threads=2)
    x0, target = starts(flight, 2)
    truth = torch.tensor(layer.weights.values)
    log_scale = torch.full((1,), 0.8, dtype=torch.double, requires_grad=True)
    shown = layer(x0, target).X.detach()
    optimiser, guesses = torch.optim.Adam([log_scale], lr=0.1), None
    losses, scales = [], []
    for _ in range(12):
        weights = torch.cat([truth[:1] * log_scale.exp(), truth[1:]])
        optima = layer(x0, target, weights=weights, guesses=guesses)
        guesses, loss = optima.guesses, (optima.X - shown).square().mean()
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        losses.append(loss.item())
        scales.append(log_scale.item())
    best = int(np.argmin(losses))
    assert losses[best] < 1e-3 * losses[0]
    assert abs(scales[best - 1]) < 0.05


def test_wrong_shapes_are_refused(flight: Task) -> None:
    layer, (x0, target) = OptimalLayer(flight), starts(flight, 2)
    with pytest.raises(SolverError, match=r"x0 has shape \(2, 11\), expected \(B, 12\)"):
        layer(x0[:, :11], target)
    with pytest.raises(SolverError, match="stages over 15 variables"):
        layer(x0, target, terms=Terms(g=torch.zeros(20, 15)))
