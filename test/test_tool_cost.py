"""A cost on the tool, learned as a network: its model along a trajectory, its gradient, and a detour to imitate."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="needs the extra `train`")

from sobo_planner.errors import ConfigError  # noqa: E402
from sobo_planner.solver import Guess, Solver  # noqa: E402
from sobo_planner.tasks import ArmReach, load_arm  # noqa: E402
from sobo_training.imitation.demonstrations import Demonstration  # noqa: E402
from sobo_training.imitation.tool_cost import (  # noqa: E402
    ToolCost,
    ToolCostFit,
    ToolCostSettings,
    solve,
    terms_about,
    tool_along,
)
from sobo_training.imitation.weights import accurate  # noqa: E402

LOW = 0.4


class KeepUp(ToolCost):
    """A teacher's: the tool stays above a height."""

    def forward(self, positions: Any) -> Any:
        return 0.15 * torch.nn.functional.softplus((LOW - positions[:, 2:]) / 0.05)


@pytest.fixture(scope="module")
def arm() -> ArmReach:
    """The UR5 with few, long steps, starting near its home."""
    return load_arm("ur5", **{"problem.horizon": 40, "problem.dt": 0.05, "distribution.r_init": 0})


@pytest.fixture(scope="module")
def shown(arm) -> list[Demonstration]:
    """Motions of the teacher; the solver begins at those without its cost."""
    teacher, solver, found = KeepUp(np.zeros(3), 1.0, ToolCostSettings()), Solver(arm, accurate(arm)), []
    for number in range(12):
        instance = arm.sample(np.random.default_rng([3, number]))
        plain = solver.solve(instance, arm.interpolate(instance))
        guess = Guess(plain.X, plain.U)
        solution = solve(arm, solver, teacher, instance, guess, rounds=8)
        lifted = distance(arm, plain.X, solution.X)
        if plain.converged and solution.converged and 0.02 < lifted < 0.2:
            found.append(Demonstration(instance, solution.X, guess))
    assert len(found) >= 4
    return found[:4]


def distance(arm: ArmReach, X: np.ndarray, Y: np.ndarray) -> float:
    """Root mean square of that of the tool along two motions [m]."""
    off = tool_along(arm, X)[0] - tool_along(arm, Y)[0]
    return float(np.sqrt((off**2).sum(1).mean()))


def test_terms_are_the_second_order_model_of_the_network(arm, shown, rng) -> None:
    cost = ToolCostFit(arm, shown).cost
    X, U = shown[0].X, shown[0].guess.U
    direction = rng.normal(size=X.shape)

    def exact(X: np.ndarray) -> np.ndarray:
        positions, _ = tool_along(arm, X[:-1])
        values: np.ndarray = arm.dt * cost.value(torch.from_numpy(positions)).detach().numpy()
        return values

    terms = terms_about(cost, arm, X, U, exact=True)
    np.testing.assert_allclose(terms.values(X, U)[:-1], exact(X), atol=1e-12)
    errors = []
    for step in (0.02, 0.01):
        moved = X + step * direction
        errors.append(np.abs(terms.values(moved, U)[:-1] - exact(moved)).max())
    assert errors[1] < errors[0] / 6  # of third order: an eighth
    convex = terms_about(cost, arm, X, U)
    assert np.linalg.eigvalsh(convex.H).min() > -1e-12 > np.linalg.eigvalsh(terms.H).min()
    z = np.hstack([X[:-1], U])
    slopes = [np.einsum("tij,tj->ti", each.H, z) + each.g for each in (convex, terms)]
    np.testing.assert_allclose(*slopes, atol=1e-9)


def test_gradient_against_solving_again(arm, shown) -> None:
    fit = ToolCostFit(arm, shown[:1], ToolCostSettings(rounds=6, exact=True, threads=1))
    before = fit._gradient()
    weight, generator = fit.cost.layers[2].weight, torch.Generator().manual_seed(1)
    direction = torch.randn(weight.shape, dtype=weight.dtype, generator=generator)
    expected = (weight.grad * direction).sum().item()
    errors = []
    for step in (1e-3, -1e-3):
        with torch.no_grad():
            weight += step * direction
        errors.append(fit._gradient())
        with torch.no_grad():
            weight -= step * direction
    assert before > 0.005
    assert (errors[0] ** 2 - errors[1] ** 2) / 2e-3 == pytest.approx(expected, rel=0.02)


def test_a_detour_is_imitated(arm, shown) -> None:
    fit = ToolCostFit(arm, shown, ToolCostSettings(steps=30, threads=1)).run()
    assert fit.errors[-1] < 0.6 * fit.errors[0]


def test_settings_that_cannot_be() -> None:
    with pytest.raises(ConfigError, match="rounds must be at least 1, got 0"):
        ToolCostSettings(rounds=0)
