"""Consensus learning: its fixed point, its variants, and that runs resume and survive what goes wrong."""

from __future__ import annotations

import json
import pickle

import numpy as np
import pytest

from sobo_planner.cli import main
from sobo_planner.errors import ConfigError, SoboError
from sobo_planner.solver import Instance, Solver
from sobo_planner.tasks import load_task
from sobo_training.consensus import loop
from sobo_training.consensus.admm import Consensus
from sobo_training.consensus.loop import learn, load_policy, measure
from sobo_training.consensus.options import ConsensusOptions
from sobo_training.consensus.policy import NetworkPolicy
from sobo_training.consensus.report import calls_to_reach, render
from sobo_training.data.dataset import locked
from sobo_training.evaluation import closed_loop
from sobo_training.evaluation.closed_loop import roll_out

LQR = {"problem.horizon": 20, "problem.control_limit": 100.0}
MU = 0.3
SMALL = ConsensusOptions(steps=5, instances=3, hidden=(8,), gradient_steps=40, evaluate=3, warm_steps=2)


class LinearPolicy:
    """u = K x with gains of each step (`steps` of them, or one for all), fitted exactly; no control at first."""

    def __init__(self, task, steps):
        self.K = np.zeros((steps, task.nu, task.nx))

    def _gains(self, T):
        return np.broadcast_to(self.K, (T, *self.K.shape[1:])) if len(self.K) == 1 else self.K

    def act(self, x, targets, t):
        return x @ self._gains(t + 1)[t].T

    def controls(self, X, targets):
        return np.einsum("tij,ntj->nti", self._gains(X.shape[1]), X)

    def jacobians(self, X, targets):
        return np.broadcast_to(self._gains(X.shape[1]), (*X.shape[:2], *self.K.shape[1:]))

    def fit(self, X, targets, wanted, gains, ranges, seed):
        for k in range(len(self.K)):
            at = slice(k, k + 1) if len(self.K) > 1 else slice(None)
            x, u = X[:, at].reshape(-1, X.shape[2]), wanted[:, at].reshape(-1, wanted.shape[2])
            self.K[k] = np.linalg.lstsq(x, u, rcond=None)[0].T
        return 0.0


@pytest.fixture(scope="module")
def lqr():
    return load_task("lqr", **LQR)


@pytest.fixture(scope="module")
def instances(lqr):
    rng = np.random.default_rng(0)
    return [lqr.sample(rng) for _ in range(6)]


def run(task, instances, steps, learner, **options):
    settings = ConsensusOptions(**({"sobolev": False, "warm_steps": 0, "steps": steps} | options))
    consensus = Consensus(task, settings, learner, instances)
    figures = [consensus.advance([[task.interpolate(each)] for each in instances]) for _ in range(steps)]
    return consensus, figures


def mean_cost(task, learner, instances):
    rollouts = [each.guess for each in roll_out(task, learner.act, instances)]
    pairs = zip(rollouts, instances, strict=True)
    return np.mean([task.cost(each.X, each.U, instance.target) for each, instance in pairs])


def test_a_class_that_holds_the_optimum_comes_to_agree_with_it(lqr, instances):
    """In 20 steps, from a policy that does nothing and wrong multipliers."""
    solver = Solver(lqr)
    optimum = np.mean([solver.solve(each, lqr.interpolate(each)).cost for each in instances])
    learner = LinearPolicy(lqr, lqr.horizon)
    consensus, _ = run(lqr, instances, 1, learner, mu=MU)
    learner.K[:] = 0.0
    consensus.multipliers.controls[:] = np.random.default_rng(1).normal(size=consensus.multipliers.controls.shape)
    residuals = [consensus.advance()["residual"] for _ in range(20)]
    apart = consensus.trajectories.U - learner.controls(consensus.trajectories.X[:, :-1], consensus.targets)
    assert np.abs(apart).max() < 1e-4 < residuals[0]
    assert mean_cost(lqr, learner, instances) == pytest.approx(optimum, rel=1e-3)


def test_a_class_without_the_optimum_gets_better_with_multipliers(lqr, instances):
    """One gain for all steps: PDDP imitates controls that it cannot reproduce, PLAL asks for others."""
    costs, residuals = {}, {}
    for method, options in (("pddp", {}), ("plal", {"mu": MU})):
        learner = LinearPolicy(lqr, 1)
        _, figures = run(lqr, instances, 40, learner, method=method, **options)
        costs[method], residuals[method] = mean_cost(lqr, learner, instances), figures[-1]["residual"]
    assert costs["plal"] < costs["pddp"] and residuals["plal"] < 0.3 * residuals["pddp"]


def test_without_bounds_the_oracle_exceeds_them():
    task = load_task("pendulum", **{"problem.torque_limit": 8.0})
    free = pickle.loads(pickle.dumps(task.without_control_bounds()))
    instance = task.sample(np.random.default_rng(0))
    bound, loose = (Solver(each).solve(instance, each.interpolate(instance)) for each in (task, free))
    assert np.abs(bound.U).max() < 8.0 + 1e-3 < np.abs(loose.U).max() and loose.cost < bound.cost
    assert (free.policy_hash, task.control_upper[0]) == (task.policy_hash, 8.0) and free.hash != task.hash
    free = load_task("quadrotor").without_control_bounds()
    assert free.make_worker() is not None and free.control_lower[0] < -1e5


def test_the_derivative_of_the_policy_is_its_derivative():
    task = load_task("ur5")
    policy, rng = NetworkPolicy(task, ConsensusOptions(hidden=(8,))), np.random.default_rng(1)
    instance = task.sample(rng)
    X = np.tile(instance.x0, (1, 2, 1))
    P, step = policy.jacobians(X, instance.target[None]), 1e-6
    for i in range(task.nx):
        ahead, behind = X.copy(), X.copy()
        ahead[0, 1, i] += step
        behind[0, 1, i] -= step
        both = [policy.controls(each, instance.target[None])[0, 1] for each in (ahead, behind)]
        np.testing.assert_allclose(P[0, 1, :, i], (both[0] - both[1]) / (2 * step), atol=1e-5)


def test_the_sobolev_term_teaches_gains(lqr, instances):
    """From one instance, the gains say what to do in the directions that it never goes."""
    errors = {}
    for sobolev in (True, False):
        options = ConsensusOptions(sobolev=sobolev, method="pddp", hidden=(32,), gradient_steps=400, alpha=1.0)
        learner = NetworkPolicy(lqr, options)
        consensus = Consensus(lqr, options, learner, instances[:1])
        consensus.advance([[lqr.interpolate(instances[0])]])
        X = consensus.trajectories.X[:, :-1]
        errors[sobolev] = np.abs(learner.jacobians(X, consensus.targets) - consensus.trajectories.K).mean()
    assert errors[True] < 0.3 * errors[False]


def test_calls_are_counted_by_rollouts_and_iterations(lqr, instances):
    consensus, figures = run(lqr, instances, 2, LinearPolicy(lqr, 1), method="pddp")
    first = round(figures[0]["iterations"] * len(instances))
    second = round(figures[1]["iterations"] * len(instances))
    assert figures[0]["calls"] == lqr.horizon * first
    assert figures[1]["calls"] == lqr.horizon * (first + len(instances) + second)


def test_pods_lowers_the_cost_of_its_rollouts():
    task = load_task("lqr", **{"problem.horizon": 20})
    instances = [task.sample(np.random.default_rng(i)) for i in range(6)]
    learner = LinearPolicy(task, 1)
    before = mean_cost(task, learner, instances)
    _, figures = run(task, instances, 8, learner, method="pods", bounds=False)
    assert mean_cost(task, learner, instances) < 0.7 * before
    assert figures[0]["calls"] >= task.horizon * 3 * len(instances)  # rollout, iteration and trials


def test_a_diverging_policy_and_a_failing_solve_keep_what_was_there(lqr, instances, monkeypatch):
    consensus, _ = run(lqr, instances, 2, LinearPolicy(lqr, 1), mu=1.0)
    before, duals = consensus.trajectories.X[0].copy(), consensus.multipliers.controls.copy()
    monkeypatch.setattr(closed_loop, "DIVERGED", 0.1)
    consensus.oracle.solver = _Refusing(consensus.oracle.solver)
    figures = consensus.advance()
    assert figures["diverged"] == len(instances)
    assert figures["kept"] == {"0": "not finite: broken"}
    np.testing.assert_array_equal(consensus.trajectories.X[0], before)
    np.testing.assert_array_equal(consensus.multipliers.controls[0], duals[0])
    assert not np.array_equal(consensus.multipliers.controls[1], duals[1])


class _Refusing:
    """A solver whose first solution is not finite."""

    def __init__(self, solver):
        self.solver = solver

    def solve_batch(self, instances, guesses, threads, terms):
        import dataclasses

        solutions = self.solver.solve_batch(instances, guesses, threads, terms=terms)
        solutions[0] = dataclasses.replace(solutions[0], X=solutions[0].X * np.nan, message="broken")
        return solutions


def test_nothing_to_learn_from_is_an_error(lqr):
    bad = [Instance(np.full(4, 1e200), np.zeros(3))]
    with pytest.raises(SoboError, match="no instance has a trajectory to learn from"):
        run(lqr, bad, 1, LinearPolicy(lqr, 1))


def test_measuring_says_why_a_rollout_diverged(lqr):
    figures = measure(lqr, lambda x, targets, t: np.full((len(x), 2), np.nan), 2)
    assert figures == {"cost": None, "failed": 2, "reason": "step 1: the policy's control is not finite"}


# ---------------------------------------------------------------- whole runs


@pytest.fixture(scope="module")
def short():
    return load_task("pendulum", **{"problem.horizon": 20})


@pytest.fixture(scope="module")
def whole(short, tmp_path_factory):
    folder = tmp_path_factory.mktemp("whole")
    return folder, learn(short, folder, SMALL)


def test_a_run_records_its_steps(short, whole):
    folder, status = whole
    assert json.loads((folder / "status.json").read_text()) == status and status["state"] == "finished"
    calls = [each["calls"] for each in status["iterations"]]
    assert calls == sorted(set(calls)) and len(calls) == 5
    policy = load_policy(folder, short, SMALL)
    assert measure(short, policy.act, 3)["cost"] == status["iterations"][-1]["cost"]


@pytest.mark.parametrize("options", [{}, {"shooting": True}], ids=["plal", "plal+m"])
def test_a_stopped_run_ends_like_one_that_was_not(short, whole, tmp_path, monkeypatch, options):
    settings = ConsensusOptions(**(vars(SMALL) | options))
    expected = learn(short, tmp_path / "whole", settings) if options else whole[1]
    folder, unhindered = tmp_path / "stopped", loop.measure

    def stop(task, act, count):
        if json.loads((folder / "status.json").read_text())["iterations"][3:]:
            raise SoboError("stopped")
        return unhindered(task, act, count)

    monkeypatch.setattr(loop, "measure", stop)
    with pytest.raises(SoboError, match="stopped"):
        learn(short, folder, settings)
    assert json.loads((folder / "status.json").read_text())["state"] == "failed"
    monkeypatch.undo()
    status = learn(short, folder, settings)
    assert [untimed(each) for each in status["iterations"]] == [untimed(each) for each in expected["iterations"]]


def untimed(entry):
    return {name: value for name, value in entry.items() if name != "seconds"}


def test_folders_are_guarded(short, whole, tmp_path):
    folder, _ = whole
    with pytest.raises(ConfigError, match=r"another run: mu: the folder has 1.0, this call asks for 2.0"):
        learn(short, folder, ConsensusOptions(**(vars(SMALL) | {"mu": 2.0})))
    with locked(folder), pytest.raises(SoboError, match="another process"):
        learn(short, folder, SMALL)
    (tmp_path / "thesis.tex").touch()
    with pytest.raises(ConfigError, match="something else than a run of consensus: thesis.tex"):
        learn(short, tmp_path, SMALL)


def test_a_damaged_state_is_named(short, tmp_path):
    learn(short, tmp_path, ConsensusOptions(**(vars(SMALL) | {"steps": 1})))
    (tmp_path / "state.npz").write_bytes(b"PK")
    with pytest.raises(ConfigError, match="state.npz is damaged"):
        learn(short, tmp_path, ConsensusOptions(**(vars(SMALL) | {"steps": 1})))


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"method": "trpo"}, "unknown method 'trpo'; known: pddp, plal, dpl, pods, ppo, sac"),
        ({"method": "ppo"}, "learns without the model"),
        ({"mu": 0.0}, "mu must be positive"),
        ({"mu": float("inf")}, "mu must be positive and finite"),
        ({"steps": 0}, "steps must be at least 1"),
        ({"alpha": -1.0}, "alpha must be finite and not negative"),
        ({"alpha": float("inf")}, "alpha must be finite and not negative"),
        ({"hidden": (0,)}, "hidden must be sizes"),
        ({"method": "pddp", "shooting": True}, "shooting is a variant of plal; pddp has none"),
        ({"method": "pods"}, "pods knows neither gains nor bounds"),
    ],
)
def test_bad_options_are_refused(changes, reason):
    with pytest.raises(ConfigError, match=reason):
        ConsensusOptions(**changes)


def test_labels_are_the_papers():
    label = ConsensusOptions(method="plal", shooting=True, bounds=False).label
    assert label == "PLAL+M+S-C" and ConsensusOptions(method="dpl", sobolev=False).label == "DPL"


def test_the_command_line(tmp_path, capsys):
    small = ["--steps", "2", "--instances", "2", "--evaluate", "2", "--gradient-steps", "5", "--hidden", "4"]
    lqr = ["consensus", "lqr", "--set", "problem.horizon=10", "--out"]
    assert main([*lqr, str(tmp_path / "a"), *small, "--method", "pods", "--json"]) == 0
    status = json.loads(capsys.readouterr().out)
    assert status["method"] == "PODS" and len(status["iterations"]) == 2
    assert main([*lqr, str(tmp_path / "b"), *small, "--no-sobolev", "--no-bounds", "--shooting"]) == 0
    assert "PLAL+M-C" in capsys.readouterr().out
    for given, reason in (
        (["--method", "trpo"], "unknown method 'trpo'; known: pddp, plal"),
        (["--method", "sac", "--mu", "1", "--no-bounds"], "sac has no --no-bounds, --mu"),
        (["--method", "plal", "--calls", "9"], "plal has no --calls"),
    ):
        assert main([*lqr, str(tmp_path / "c"), *given]) == 2
        assert reason in capsys.readouterr().err


def test_the_table_says_when_the_solver_is_reached():
    entries = [
        {"iteration": 1, "calls": 100, "cost": None, "failed": 2, "reason": "step 3: far"},
        {"iteration": 2, "calls": 250, "cost": 2.05, "failed": 0, "reason": ""},
    ]
    status = {"task": "t", "method": "m", "reference": {"best": 2.0, "interpolation": None}, "iterations": entries}
    assert calls_to_reach(entries, 2.0) == 250 and calls_to_reach(entries, 1.9) is None
    text = render(status)
    assert "2 (step 3: far)" in text and "within 5 % of the best after 250 calls" in text
