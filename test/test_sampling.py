"""Planning by sampling: the schedule, the updates, the spaces, and what it finds."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from sobo_planner.errors import ConfigError, DeadlineError, TaskError
from sobo_planner.sampling import ChainSettings, Demonstration, SamplingSettings, diffuse
from sobo_planner.sampling.chain import losses_of, run
from sobo_planner.sampling.demonstrations import mixed
from sobo_planner.sampling.planner import space_of
from sobo_planner.sampling.schedule import betas, noise_levels
from sobo_planner.sampling.splines import cubic, deviations, linear
from sobo_planner.sampling.updates import UPDATES, Drawn, log_likelihoods, weights_of
from sobo_planner.solver import Budget, Solver
from sobo_planner.tasks import load_task
from sobo_planner.tasks.batch import BatchCosts, Reference

FEW = ChainSettings(samples=24, steps=8)


class Bowl:
    """A cost that is least at a point; samples beyond a distance from it exceed a bound."""

    def __init__(self, least, radius: float = np.inf) -> None:
        self.least, self.radius, self.start = np.array(least), radius, np.zeros(len(least))

    def costs(self, Y, threads=1, reference=None) -> BatchCosts:
        distance = np.linalg.norm(Y - self.least, axis=1)
        return BatchCosts(distance**2 + 0.01, np.maximum(distance - self.radius, 0.0) ** 2, np.zeros(len(Y)))


# ---------------------------------------------------------------- schedule and updates


def test_the_schedule_is_the_reference_implementations() -> None:
    linear_betas = np.linspace(1e-4, 1e-2, 100)
    sigma = np.sqrt(1.0 - np.prod(1.0 - linear_betas))
    np.testing.assert_allclose(betas(100, sigma), linear_betas, rtol=1e-9)
    levels = noise_levels(100, sigma)
    np.testing.assert_allclose(levels, np.sqrt(1.0 - np.cumprod(1.0 - linear_betas))[::-1], rtol=1e-9)


@pytest.mark.parametrize("steps", [1, 7, 300])
def test_every_schedule_begins_with_the_noise_that_is_asked_for(steps) -> None:
    levels = noise_levels(steps, 0.8)
    assert len(levels) == steps and levels[0] == pytest.approx(0.8) and (np.diff(levels) < 0.0).all()


def test_the_reverse_process_is_an_annealed_weighted_mean() -> None:
    """The paper's score ascent, written out with Y_i = sqrt(abar_i) Ybar_i, gives the means of the chain."""
    settings = ChainSettings(samples=32, steps=12)
    chain = run(Bowl([0.3, -0.2, 0.5]), settings, np.random.default_rng(3))
    each = betas(settings.steps, settings.noise)
    alpha, abar = 1.0 - each, np.cumprod(1.0 - each)
    Y = np.sqrt(abar[-1]) * np.zeros(3)
    for i, link in zip(range(settings.steps - 1, -1, -1), chain.links, strict=True):
        np.testing.assert_allclose(link.samples[0], Y / np.sqrt(abar[i]), atol=1e-12)
        losses = losses_of(Bowl([0.3, -0.2, 0.5]).costs(link.samples), settings.excess)
        weighted = weights_of(log_likelihoods(losses, settings.temperature)) @ link.samples
        score = (-Y + np.sqrt(abar[i]) * weighted) / (1.0 - abar[i])
        Y = (Y + (1.0 - abar[i]) * score) / np.sqrt(alpha[i])
        np.testing.assert_allclose(Y / np.sqrt(abar[i] / alpha[i]), link.mean, atol=1e-12)


def test_the_planners_differ_in_their_updates(rng) -> None:
    Y, losses = rng.normal(size=(40, 3)), rng.normal(size=40)
    weights = weights_of(log_likelihoods(losses, 0.1))
    drawn = Drawn(Y, losses, weights, mean=np.zeros(3), noise=0.5, first=0.9, scheduled=0.4)
    for name, noise in (("mbd", 0.4), ("mppi", 0.9)):
        mean, after = UPDATES[name](drawn)
        np.testing.assert_array_equal(mean, weights @ Y)
        assert after == noise
    mean, after = UPDATES["cem"](drawn)
    np.testing.assert_allclose(mean, Y[np.argsort(losses)[:10]].mean(axis=0))
    assert after == 0.9
    mean, after = UPDATES["cma-es"](drawn)
    assert after == pytest.approx(np.sqrt(weights @ (Y**2).mean(axis=1)))


@pytest.mark.parametrize("update", list(UPDATES))
def test_every_planner_finds_the_least_cost(update, rng) -> None:
    chain = run(Bowl([0.4, -0.3]), ChainSettings(update=update, samples=64, steps=30, noise=0.5), rng)
    np.testing.assert_allclose(chain.best, [0.4, -0.3], atol=0.05)
    assert chain.links[-1].best <= chain.links[0].best


def test_one_outlier_does_not_make_the_others_alike() -> None:
    losses = np.array([1.0, 2.0, 3.0, 4.0, 1e12, np.inf, np.nan])
    weights = weights_of(log_likelihoods(losses, 0.5))
    assert weights[0] > 5.0 * weights[1] > 0.0 and weights[5] == weights[6] == 0.0
    np.testing.assert_allclose(weights_of(log_likelihoods(np.full(4, np.inf), 0.1)), 0.25)


def test_bounds_as_an_indicator(rng) -> None:
    """Samples beyond them have no weight, unless all are: then the least excess leads."""
    costs = BatchCosts(np.array([1.0, 2.0, 3.0]), np.array([1.0, 0.0, 0.0]), np.zeros(3))
    np.testing.assert_array_equal(np.isinf(losses_of(costs, np.inf)), [True, False, False])
    beyond = BatchCosts(costs.cost, np.array([3.0, 2.0, 1.0]), costs.away)
    assert np.argmin(losses_of(beyond, np.inf)) == 2
    chain = run(Bowl([0.9, 0.9], radius=0.2), ChainSettings(samples=64, noise=0.3, excess=np.inf), rng)
    assert chain.excess == 0.0 and chain.links[0].best > chain.links[-1].best


def test_a_demonstration_lifts_what_is_near_it() -> None:
    losses, away = np.array([0.0, 1.0, 2.0, 3.0]), np.array([1.0, 1.0, 1.0, 0.0])
    without = weights_of(log_likelihoods(losses, 0.3))
    good = weights_of(mixed(losses, away, loss=-2.0, temperature=0.3))
    bad = weights_of(mixed(losses, away, loss=50.0, temperature=0.3))
    assert np.argmax(without) == 0 and np.argmax(good) == 3
    assert np.argmax(bad) == 0 and bad[3] < 1e-3


# ---------------------------------------------------------------- spaces


def test_splines() -> None:
    np.testing.assert_allclose(linear(5, 41) @ np.arange(5.0), np.linspace(0.0, 4.0, 41))
    np.testing.assert_array_equal(linear(50, 41), np.eye(41))
    np.testing.assert_allclose(cubic(9, 50).sum(axis=1), 1.0)
    for free_end, end in ((True, 1.0), (False, 0.0)):
        values = deviations(6, 200, free_end) @ np.ones(6)
        assert values[0] == 0.0 and values[-1] == pytest.approx(end, abs=1e-12)
        assert np.abs(np.diff(values)[[0, -1]]).max() < 1e-4 and np.abs(np.diff(values, 2)).max() < 1e-2


@pytest.mark.parametrize("name", ["pendulum", "double_pendulum", "ur5", "quadrotor", "lqr"])
def test_trajectories_of_samples_cost_what_the_space_says(name, rng) -> None:
    """Within the bounds; also from a state in motion."""
    task = load_task(name)
    instance = task.sample(rng)
    instance.x0[-1] = 0.1
    space = space_of(task, instance, SamplingSettings.of(task))
    Y = np.vstack([space.start, np.clip(space.start + 0.02 * rng.standard_normal(len(space.start)), -1.0, 1.0)])
    costs = space.costs(Y)
    for y, cost, excess in zip(Y, costs.cost, costs.excess, strict=True):
        guess = space.guess(y)
        np.testing.assert_array_equal(guess.X[0], instance.x0)
        np.testing.assert_array_equal(guess.U, np.clip(guess.U, task.control_lower, task.control_upper))
        if excess == 0.0 or name in ("lqr", "pendulum", "quadrotor"):
            assert task.cost(guess.X, guess.U, instance.target) == pytest.approx(cost, rel=1e-9)


@pytest.mark.parametrize(
    ("name", "seed", "most"),
    [("pendulum", 4, 38.0), ("double_pendulum", 2, 150.0), ("ur5", 4, 4.2), ("quadrotor", 4, 7.0)],
)
def test_starts_by_sampling_lead_to_good_solutions(name, seed, most) -> None:
    """The pendulum's own rollout, and of the others the solver's solution from it.

    The double pendulum's instance is solved in few iterations: after a hundred, rounding decides on the optimum.
    """
    task, rng = load_task(name), np.random.default_rng(seed)
    instance, suits = task.sample(rng), SamplingSettings.of(task)
    settings = replace(suits, chain=replace(suits.chain, samples=64, steps=20))
    sampled = diffuse(task, instance, settings, rng=rng, threads=2)
    solution = Solver(task).solve(instance, sampled.guess)
    assert solution.converged
    assert (sampled.chain.cost if name == "pendulum" else solution.cost) < most


def test_the_result_depends_on_the_seed_alone(rng) -> None:
    task = load_task("pendulum")
    instance, settings = task.sample(rng), SamplingSettings(chain=FEW)
    first, same, other = (
        diffuse(task, instance, settings, rng=np.random.default_rng(seed), threads=threads).guess.U
        for seed, threads in ((1, 1), (1, 3), (2, 1))
    )
    np.testing.assert_array_equal(first, same)
    assert np.abs(first - other).max() > 1e-3


def test_a_demonstration_of_a_task(rng) -> None:
    task = load_task("quadrotor", columns=9)
    instance = task.sample(rng)
    guess = task.interpolate(instance)
    shown = Demonstration.of(task, guess, instance.target)
    np.testing.assert_array_equal(shown.reference.positions, guess.X[1:, :3])
    settings = SamplingSettings("paths", 4, 1.0, chain=FEW)
    near = diffuse(task, instance, settings, rng=np.random.default_rng(1), demonstration=shown)
    assert np.isfinite(near.chain.cost)
    with pytest.raises(ConfigError, match="has no positions to demonstrate"):
        lqr = load_task("lqr")
        start = lqr.sample(rng)
        Demonstration.of(lqr, lqr.interpolate(start), start.target)
    with pytest.raises(ConfigError, match="a demonstration for quadrotor needs"):
        arm = load_task("ur5")
        start = arm.sample(rng)
        Demonstration.of(task, arm.interpolate(start), start.target)
    with pytest.raises(ConfigError, match="must be positive, got nan"):
        Demonstration(Reference(np.zeros((3, 3))), np.nan)


def test_a_budget_ends_sampling(rng) -> None:
    task = load_task("pendulum")
    with pytest.raises(DeadlineError, match="sampling"):
        diffuse(task, task.sample(rng), rng=rng, budget=Budget(1e-9))


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"space": "thoughts"}, "unknown space 'thoughts'; use controls, motions, paths"),
        ({"knots": 0}, "knots must be at least 1"),
        ({"amplitude": -1.0}, "amplitude must be positive"),
        ({"arrival": 0.0}, "arrival must lie in"),
    ],
)
def test_bad_spaces_are_refused(settings, message) -> None:
    with pytest.raises(ConfigError, match=message):
        SamplingSettings(**settings)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"update": "ppo"}, "unknown update 'ppo'; use mbd, mppi, cem, cma-es"),
        ({"samples": 2}, "needed are 3 samples"),
        ({"temperature": 0.0}, "temperature must be positive"),
        ({"noise": 1.0}, "noise must lie in"),
        ({"noise": np.nan}, "noise must lie in"),
        ({"excess": -1.0}, "excess must not be negative"),
    ],
)
def test_bad_chains_are_refused(settings, message) -> None:
    with pytest.raises(ConfigError, match=message):
        ChainSettings(**settings)


def test_spaces_that_do_not_fit_are_refused(rng) -> None:
    lqr, quadrotor, arm = load_task("lqr"), load_task("quadrotor"), load_task("ur5")
    for task, space, message in (
        (lqr, "motions", "no joints"),
        (quadrotor, "motions", "no joints"),
        (arm, "paths", "no quadrotor"),
    ):
        with pytest.raises(ConfigError, match=message):
            diffuse(task, task.sample(rng), SamplingSettings(space), rng=rng)


def test_nothing_but_divergence_is_refused(monkeypatch, rng) -> None:
    task = load_task("pendulum")
    never = BatchCosts(*np.full((3, 24), np.inf))
    monkeypatch.setattr(task, "batch_costs", lambda *_, **__: never)
    with pytest.raises(TaskError, match="every sampled trajectory of pendulum diverged"):
        diffuse(task, task.sample(rng), SamplingSettings(chain=FEW), rng=rng)
