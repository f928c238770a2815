"""Demonstrations that go two ways: with a latent vector both are found, without one their average."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="needs the extra `train`")

from sobo_planner.errors import ConfigError  # noqa: E402
from sobo_planner.tasks import load_task  # noqa: E402
from sobo_training.imitation.cvae import (  # noqa: E402
    CvaeSettings,
    TrajectoryCvae,
    nearest_modes,
    plan_with,
    train_cvae,
)
from sobo_training.optimal_layer import OptimalLayer  # noqa: E402

DETOUR = 3.0


class Unbounded:
    """Solutions of the task `lqr` without its bounds, in closed form, with slopes added to the cost of the states."""

    def __init__(self) -> None:
        problem = load_task("lqr").linear_quadratic
        self.T, (self.nx, nu) = problem.horizon, problem.B.shape
        powers = [np.linalg.matrix_power(problem.A, t) for t in range(self.T + 1)]
        by_control = np.zeros((self.T + 1, self.nx, self.T, nu))
        for t in range(1, self.T + 1):
            for s in range(t):
                by_control[t, :, s] = powers[t - 1 - s] @ problem.B
        self.by_start, S = np.array(powers).reshape(-1, self.nx), by_control.reshape(-1, self.T * nu)
        Q = np.kron(np.eye(self.T + 1), problem.Q)
        Q[-self.nx :, -self.nx :] = problem.Qf
        hessian = np.kron(np.eye(self.T), problem.R) + S.T @ Q @ S
        self.by_slope = -S @ np.linalg.solve(hessian, S.T)
        self.by_start = self.by_start + self.by_slope @ Q @ self.by_start

    def __call__(self, x0: Any, slopes: Any) -> Any:
        ends = torch.cat([slopes, torch.zeros_like(slopes[:, :1])], 1).flatten(1)
        X = x0 @ torch.tensor(self.by_start).T + ends @ torch.tensor(self.by_slope).T
        return X.reshape(len(x0), self.T + 1, self.nx)

    def ways(self, x0: Any) -> Any:
        """The two ways from each start: the first mass makes a detour to one side or to the other."""
        t = torch.linspace(0, 1, self.T + 1, dtype=torch.double)[:-1]
        slopes = torch.zeros(2, len(x0), self.T, self.nx, dtype=torch.double)
        slopes[:, :, :, 0] = torch.tensor([-1.0, 1.0])[:, None, None] * DETOUR * torch.exp(-(((t - 0.35) / 0.15) ** 2))
        return torch.stack([self(x0, slope) for slope in slopes], 1)


@pytest.fixture(scope="module")
def plan() -> Unbounded:
    return Unbounded()


def starts(count: int, seed: int) -> Any:
    return 2 * torch.rand(count, 4, dtype=torch.double, generator=torch.Generator().manual_seed(seed)) - 1


def shown(plan: Unbounded, count: int) -> tuple[Any, Any]:
    """Demonstrations, each by one way or the other."""
    x0 = starts(count, 1)
    side = torch.randint(2, (count,), generator=torch.Generator().manual_seed(2))
    return x0, plan.ways(x0)[torch.arange(count), side]


def tried(plan: Unbounded, net: TrajectoryCvae) -> tuple[float, Any]:
    """Mean distance to the nearer way of 20 x 40 samples, and how often each way is taken."""
    generator, distances, taken = torch.Generator().manual_seed(3), [], []
    x0 = starts(20, 4)
    for start, ways in zip(x0, plan.ways(x0), strict=True):
        distance, which = nearest_modes(net.sample(start.expand(40, -1), plan, generator), ways)
        distances.append(distance.mean())
        taken.append(which.double().mean())
    share = torch.stack(taken).mean().item()
    return torch.stack(distances).mean().item(), (1 - share, share)


def test_both_ways_are_sampled_and_their_average_is_not(plan) -> None:
    x0, X = shown(plan, 192)
    distance, shares = tried(plan, train_cvae(x0, X, plan))
    assert min(shares) >= 0.3 and distance <= 0.05
    without, _ = tried(plan, train_cvae(x0, X, plan, CvaeSettings(latents=0, steps=200)))
    assert without >= 0.2


def test_the_layer_plans_as_the_closed_form_does(plan) -> None:
    """Where no bound is active; with its gradient."""
    x0, slopes = 0.3 * starts(2, 5), torch.zeros(2, plan.T, plan.nx, dtype=torch.double)
    slopes[:, 10:20, 0] = torch.tensor([[0.5], [-0.3]])
    weights = torch.randn(2, plan.T + 1, plan.nx, dtype=torch.double, generator=torch.Generator().manual_seed(0))
    found = []
    for each in (plan, plan_with(OptimalLayer(load_task("lqr"), threads=1), controls=2)):
        moved = slopes.clone().requires_grad_()
        X = each(x0, moved)
        (X * weights).sum().backward()
        found.append((X.detach(), moved.grad))
    for first, second in zip(*found, strict=True):
        torch.testing.assert_close(first, second, atol=1e-6, rtol=1e-5)


def test_distances_to_the_nearer_way() -> None:
    modes = torch.tensor([[[0.0]], [[2.0]]])
    distance, which = nearest_modes(torch.tensor([[[0.5]], [[2.0]], [[1.0]]]), modes)
    torch.testing.assert_close(distance, torch.tensor([0.0625, 0.0, 0.25]))
    assert which[:2].tolist() == [0, 1]


def test_slopes_are_linear_between_their_knots() -> None:
    net = TrajectoryCvae(2, 9, 3, CvaeSettings(knots=3, latents=1))
    slopes = net.slopes(torch.ones(1, 2).double(), torch.ones(1, 1).double())[0]
    assert slopes.shape == (9, 3)
    torch.testing.assert_close(slopes[2], 0.5 * (slopes[0] + slopes[4]))
    torch.testing.assert_close(slopes[6], 0.5 * (slopes[4] + slopes[8]))
    with pytest.raises(ConfigError, match="knots must be at least 2, got 1"):
        CvaeSettings(knots=1)
