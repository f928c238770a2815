"""Retraining: a policy goes on from its artifact, with logged solutions besides new ones."""

from __future__ import annotations

import contextlib
import dataclasses
import io
import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.numpy import load_file
from toy_task import ToyTask

from sobo_planner.cli import main
from sobo_planner.errors import ConfigError, PolicyError
from sobo_planner.policy import Policy
from sobo_planner.policy.artifact import Artifact
from sobo_planner.solver import Guess, Instance, Solver
from sobo_planner.tasks import load_task
from sobo_training.config import TrainConfig, suitable_mode
from sobo_training.data import logged
from sobo_training.data.collect import collect
from sobo_training.data.collection import CollectOptions
from sobo_training.data.dataset import load
from sobo_training.data.instances import Stream, draw
from sobo_training.data.logged import IMPROVED, Improver, Recombiner, recombine, split
from sobo_training.export.continuing import load_policy
from sobo_training.interplay import keeping
from sobo_training.interplay.keeping import CHUNKS, RATE, ROLLOUTS, keep
from sobo_training.interplay.loop import Interplay, interplay
from sobo_training.interplay.options import InterplayOptions
from sobo_training.learning.chunks import build
from sobo_training.learning.trainer import Trainer, read_checkpoint

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning")
SMALL = {"iterations": 2, "trajectories": "[3]", "epochs": 5, "instances": 2, "batch": 16, "reset": False}
SETS = [f"{key}={value}" for key, value in SMALL.items()]


@pytest.fixture(scope="module")
def task():
    return load_task("lqr", **SMALL)


@pytest.fixture(scope="module")
def made(tmp_path_factory) -> tuple[Path, str]:
    """A folder with data and a policy that the command line made, and what it printed."""
    folder, printed = tmp_path_factory.mktemp("made"), io.StringIO()
    data, run, policy = (str(folder / name) for name in ("data", "run", "policy"))
    with contextlib.redirect_stdout(printed):
        assert main(["collect", "lqr", "-n", "11", "--starts", "1", "--seed", "5", "--out", data]) == 0
        arguments = ["--method", "sob_mlp", "--steps", "30", "--set", "batch=16"]
        assert main(["train", "lqr", "--data", data, "--out", run, *arguments, "--verdict", "7"]) == 0
        assert main(["export", "--run", run, "--out", policy, "--verdict", "6"]) == 0
    return folder, printed.getvalue()


@pytest.fixture(scope="module")
def options(made) -> InterplayOptions:
    folder, _ = made
    return InterplayOptions(seed=3, threads=1, policy=folder / "policy", from_data=(folder / "data",))


@pytest.fixture(scope="module")
def whole(task, options, tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("retrained")
    interplay(task, folder, options, progress=False)
    return folder


def test_train_and_export_say_what_the_policy_is_worth(made):
    assert made[1].count("verdict: ") == 2
    assert "(7 instances)" in made[1] and "(6 instances)" in made[1]
    assert "mode vjp, as asked for" in made[1]


def test_a_verdict_can_be_left_out_and_not_be_negative(made, tmp_path, capsys):
    data = str(made[0] / "data")
    train = ["train", "lqr", "--data", data, "--out", str(tmp_path), "--method", "mlp", "--steps", "1", "--verdict"]
    assert main([*train, "0"]) == 0
    printed = capsys.readouterr().out
    assert "verdict: " not in printed and "mode " not in printed  # no first-order information, so no mode
    assert main([*train, "-1"]) == 2
    assert "verdict must not be negative, got -1" in capsys.readouterr().err


def test_training_goes_on_from_the_weights_and_the_scaling_of_an_artifact(task, made, options, tmp_path):
    """Nothing but the artifact is there, and learning is too slow to change the weights."""
    slow = load_task("lqr", **(SMALL | {"iterations": 1, "epochs": 1, "lr": 1e-12}))
    run = Interplay(slow, tmp_path, options, progress=False)
    run.claim()
    run.begin()
    run.solutions.collect(0)
    run.train(0, *run.solutions.buffer(0))
    state = read_checkpoint(tmp_path / "iteration-01" / "run" / "checkpoint.pt")
    given = load_file(made[0] / "policy" / "model.safetensors")
    for name, value in given.items():
        np.testing.assert_allclose(state["net"][name], value, rtol=1e-6, atol=1e-9)
    assert state["normaliser"] == Artifact.load(made[0] / "policy").spec.normaliser.to_dict()
    assert state["config"]["network"] == "mlp" and state["config"]["loss"] == "sobolev"


def test_what_a_run_learns_from(task, made, whole):
    """Four fifths of the logged instances, each at most as costly as before, and new pairs from the first policy on; no
    sampled ones, where the policy keeps what it does."""
    stored, status = load(made[0] / "data", task), json.loads((whole / "status.json").read_text())
    known, unseen = split(stored, task.config.interplay.instances)
    assert (len(known), len(unseen)) == (9, 2)
    for iteration in (1, 2):
        folder = whole / f"iteration-{iteration:02d}"
        logged = load(folder / "logged", task)
        np.testing.assert_array_equal(logged.x0, known.x0)
        np.testing.assert_array_equal(logged.target, known.target)
        assert (logged.cost <= known.cost).all()
        assert not (folder / "data").exists()
        pairs = load(folder / "recombined", task)
        assert len(pairs) == 3 and pairs.shards[0].config["policy"] is not None
        assert status["iterations"][iteration - 1]["training"]["chunks"] == (9 + 3 * iteration) * task.horizon
        assert status["iterations"][iteration - 1]["trajectories"] == 3
        assert json.loads((folder / "run" / "config.json").read_text())["lr"] == RATE * task.config.training.lr
        report = json.loads((folder / "logged.json").read_text())
        np.testing.assert_array_equal([row["x0"] for row in report["rows"]], unseen.x0)
    entry = status["iterations"][-1]
    assert entry["logged"]["trajectories"] == 9 and entry["logged"]["cost"]["refined"] > 0
    assert set(entry["verdict"]["logged"]) == set(entry["verdict"]["sampled"]) == {"no_policy", "before"}


def test_a_run_that_was_interrupted_ends_as_if_it_was_not(options, whole, tmp_path, capsys):
    """As a kill in the second training leaves it: with the data of both iterations, and one policy."""
    folder = tmp_path / "loop"
    shutil.copytree(whole, folder)
    status = json.loads((folder / "status.json").read_text())
    stopped = {"iterations": status["iterations"][:1], "state": "running", "phase": "train", "iteration": 2}
    (folder / "status.json").write_text(json.dumps(status | stopped))
    for name in ("policy", "iteration-02/run", "iteration-02/policy"):
        shutil.rmtree(folder / name)
    for name in ("evaluation.json", "logged.json"):
        (folder / "iteration-02" / name).unlink()
    folders = ["--policy", str(options.policy), "--from-data", str(options.from_data[0])]
    again = ["interplay", "lqr", "--out", str(folder), *folders, "--seed", "3", "--threads", "2", "--set", *SETS]
    assert main(again) == 0
    printed = capsys.readouterr().out
    assert "on logged instances" in printed and "the new policy" in printed
    mine, theirs = (load_file(each / "policy" / "model.safetensors") for each in (folder, whole))
    assert all(np.array_equal(mine[name], theirs[name]) for name in theirs)


def test_other_arguments_are_refused_by_name(task, options, whole, made, tmp_path):
    other = dataclasses.replace(options, logged_share=0.25)
    with pytest.raises(ConfigError, match=r"logged_share: the folder has 0\.\d+, this call asks for 0\.25"):
        interplay(task, whole, other, progress=False)
    with pytest.raises(ConfigError, match="policy: the folder has .* this call asks for None"):
        interplay(task, whole, dataclasses.replace(options, policy=None, method="sob_mlp"), progress=False)
    collect(task, tmp_path / "more", CollectOptions(count=3, starts=1), progress=False)
    with pytest.raises(ConfigError, match="from_data: the folder has"):
        interplay(task, whole, dataclasses.replace(options, from_data=(tmp_path / "more",)), progress=False)


def test_policies_and_shares_that_cannot_work_are_refused(task, made, tmp_path):
    with pytest.raises(ConfigError, match="method diff trains a network of kind unet, the policy's is mlp"):
        load_policy(made[0] / "policy", task, "diff")
    with pytest.raises(PolicyError, match="trained for task lqr, but here it is pendulum"):
        load_policy(made[0] / "policy", load_task("pendulum"))
    for share in (0.0, 1.0, float("nan")):
        with pytest.raises(ConfigError, match="logged_share must lie in"):
            InterplayOptions(logged_share=share)


def test_logged_solutions_are_replaced_by_cheaper_ones_alone(task, made):
    """Of stored solutions one is made costlier, one cheaper than the policy's rollout can lead to."""
    stored = load(made[0] / "data", task)
    cost = stored.cost.copy()
    cost[0], cost[1] = 2.0 * cost[0], 0.5 * cost[1]
    policy = Policy.load(made[0] / "policy", task)
    data = dataclasses.replace(stored, cost=cost)
    improver = Improver(task, Solver(task), CollectOptions(count=2, threads=1), policy, data)
    outcomes = improver.solve([0, 1])
    first, second = (improver.tensors([each]) for each in outcomes)
    assert first["start"][0] == IMPROVED and first["cost"][0] == pytest.approx(stored.cost[0], rel=1e-3)
    assert second["start"][0] == stored.start[1] and second["cost"][0] == cost[1]
    np.testing.assert_array_equal(second["X"][0], stored.X[1])
    np.testing.assert_array_equal(second["x0"][0], stored.x0[1])


def test_starts_and_goals_of_the_log_are_paired_anew(made, task):
    stored = load(made[0] / "data", task)
    stored = dataclasses.replace(stored, target=np.arange(11.0)[:, None])
    recombiner = Recombiner(task, Solver(task), CollectOptions(count=50, starts=1), None, stored)
    instances = [recombiner.drawn(number)[0] for number in range(50)]
    starts = [int(np.flatnonzero((stored.x0 == each.x0).all(1))[0]) for each in instances]
    goals = [int(each.target[0]) for each in instances]
    assert set(starts) == set(goals) == set(range(len(stored)))
    assert sum(map(int.__eq__, starts, goals)) < 15  # 50 / 11 by chance
    known, unseen = split(stored, 100)
    assert (len(known), len(unseen)) == (9, 2), "a fifth, and not so many"
    again = recombiner.drawn(7)[0]
    np.testing.assert_array_equal(again.x0, instances[7].x0)


def test_the_policy_helps_to_solve_new_pairs(made, task, tmp_path, monkeypatch):
    asked: list[Recombiner] = []
    monkeypatch.setattr(logged, "fill", lambda folder, collector, config, progress: asked.append(collector))
    stored, options = load(made[0] / "data", task), CollectOptions(count=2, starts=1)
    for folder in (made[0] / "policy", None):
        recombine(stored, task, tmp_path, options, folder)
    assert len(asked[0].starts(0, *asked[0].drawn(0))) == 2 and len(asked[1].starts(0, *asked[1].drawn(0))) == 1


def test_what_is_learned_about_the_log_is_the_logged_share(task, options, whole, tmp_path):
    """Beside the policy's own rollouts, or beside sampled instances where there is no policy to go on from."""
    run = Interplay(task, whole, dataclasses.replace(options, logged_share=0.3), progress=False)
    data, parts = run.solutions.buffer(1)
    assert parts == () and len(data) == 9 + 2 * 3
    own = load(whole / "iteration-02" / "recombined", task)
    np.testing.assert_array_equal(data.x0[12:15], own.x0)
    kept = run.kept(2)
    assert kept is not None and kept.share == 0.7 and kept.teacher is run.setup.given.net
    assert kept.data.trajectories == 2 * ROLLOUTS
    reset = Interplay(load_task("lqr", **(SMALL | {"reset": True})), whole, options, progress=False)
    assert len(reset.solutions.buffer(1)[0]) == 9 + 3

    alone = dataclasses.replace(options, policy=None, method="sob_mlp", logged_share=0.3)
    begun = Interplay(load_task("lqr", **(SMALL | {"iterations": 1})), tmp_path, alone, progress=False)
    assert begun.kept(2) is None and begun.setup.config.lr == task.config.training.lr
    begun.claim()
    begun.solutions.collect(0)
    data, parts = begun.solutions.buffer(0)
    assert parts == ((9 + 3, 0.3), (3, 0.7)) and len(data) == 15
    onward = Interplay(task, tmp_path / "onward", dataclasses.replace(options, from_data=()), progress=False)
    assert onward.kept(2) is None and onward.setup.config.lr == task.config.training.lr


def test_a_folder_of_an_earlier_version_is_refused_by_name(task, options, whole, tmp_path):
    """It has no pairs, or learned from sampled instances; without logged data nothing has changed."""
    shutil.copytree(whole, tmp_path / "old")
    path = tmp_path / "old" / "config.json"
    written = json.loads(path.read_text())
    for name in ("recombined", "kept"):
        path.write_text(json.dumps({k: v for k, v in written.items() if k != name}))
        with pytest.raises(ConfigError, match=f"{name}: the folder has None, this call asks for True"):
            interplay(task, tmp_path / "old", options, progress=False)
    (tmp_path / "new").mkdir()
    run = Interplay(task, tmp_path / "new", dataclasses.replace(options, from_data=()), progress=False)
    run.claim()
    assert not {"recombined", "kept"} & set(json.loads((tmp_path / "new" / "config.json").read_text()))


@pytest.mark.parametrize("emphasis", [0.0, 0.5])
def test_batches_are_drawn_from_the_parts_in_their_shares(emphasis):
    toy = ToyTask()
    data = build(toy.solutions(5), toy, 8, parts=((1, 0.7), (4, 0.3)))
    assert data.parts == ((len(data) // 5, 0.7), (4 * (len(data) // 5), 0.3))
    trainer = Trainer(data, toy, TrainConfig.from_task(toy, emphasis=emphasis, batch=1000))
    first = torch.zeros(len(data))
    ends = torch.cat((trainer.cumulative, torch.ones(1, dtype=torch.float64)))
    shares = torch.diff(ends, prepend=torch.zeros(1, dtype=torch.float64))
    assert len(first) == len(shares) and (shares > 0).all()
    assert float(shares[: data.parts[0][0]].sum()) == pytest.approx(0.7)


def test_the_mode_suits_the_number_of_trajectories():
    assert [suitable_mode(count) for count in (1, 19, 20, 600)] == ["augment", "augment", "jvp", "jvp"]
    toy = ToyTask()
    data = build(toy.solutions(4), toy, 8)
    auto = TrainConfig.from_task(toy, mode="auto")
    assert Trainer(data, toy, auto).config.mode == "augment"
    assert Trainer(data, toy, TrainConfig.from_task(toy, mode="jvp")).config.mode == "jvp"
    assert load_task("ur5").config.training.mode == "auto"
    assert auto.explain_mode(4) == "mode augment for 4 trajectories: best with fewer than 20 in docs/results.md"


def test_an_evaluation_on_logged_instances(made, task, tmp_path, capsys):
    policy, data = str(made[0] / "policy"), str(made[0] / "data")
    command = ["evaluate", "lqr", "--policy", policy, "--instances-from", data, "--starts", "0"]
    assert main([*command, "--most", "3", "--json", str(tmp_path / "logged.json")]) == 0
    report, stored = json.loads((tmp_path / "logged.json").read_text()), load(made[0] / "data", task)
    assert [row["index"] for row in report["rows"]] == [0, 5, 10] and report["logged"]
    np.testing.assert_array_equal([row["x0"] for row in report["rows"]], stored.x0[[0, 5, 10]])
    assert "3 logged instances" in capsys.readouterr().out
    assert main([*command, "-n", "2", "--json", str(tmp_path / "both.json")]) == 0
    report = json.loads((tmp_path / "both.json").read_text())
    assert (report["instances"], report["on_logged"]["instances"]) == (2, 11) and not report["logged"]
    printed = capsys.readouterr().out
    assert printed.count("verdict: ") == 2 and "2 held-out instances" in printed


def test_rollouts_become_chunks_at_random_steps(made, task):
    """Of the task's own instances; scaled; the same ones for the same seed."""
    folder = made[0] / "policy"
    result = load_policy(folder, task)
    kept = keep(task, folder, result, 3, 0.25, seed=4, progress=False)
    assert kept.teacher is result.net and kept.share == 0.25
    samples, n = kept.data.samples, result.normaliser
    assert len(kept.data) == 3 * CHUNKS and kept.data.trajectories == 3
    assert samples.chunk_jacobian.shape == (*samples.chunk.shape, task.ndx) and not samples.chunk_jacobian.any()
    instance, rng = draw(task, Stream.KEPT, 4, 1)
    guess = keeping.policy_start(task, keeping.Policy.load(folder, task), instance, rng)
    assert guess is not None
    seen = np.array([n.observation(task.observation(x, instance.target, t)) for t, x in enumerate(guess.X[:-1])])
    chunks = n.action(task.actions("control").encode(guess.X, guess.U, result.config.T_h))
    slopes = [task.observation_jacobian(x, instance.target) for x in guess.X[:-1]]
    found = set()
    for row in range(CHUNKS, 2 * CHUNKS):
        step = int(np.argmin(np.abs(seen - samples.observation[row].numpy()).sum(1)))
        found.add(step)
        np.testing.assert_allclose(samples.chunk[row], chunks[step], atol=1e-5)
        scaled = slopes[step] / n.observation_scale[:, None] * n.state_scale
        np.testing.assert_allclose(samples.observation_jacobian[row], scaled, atol=1e-5)
    assert len(found) == CHUNKS
    again = keep(task, folder, result, 3, 0.25, seed=4, progress=False)
    assert torch.equal(again.data.samples.chunk, samples.chunk)
    other = keep(task, folder, result, 3, 0.25, seed=5, progress=False)
    assert not torch.equal(other.data.samples.chunk, samples.chunk)


def test_rollouts_that_are_not_finite_are_left_out(made, task, monkeypatch):
    folder = made[0] / "policy"
    result = load_policy(folder, task)
    whole, calls = keeping.policy_start, []

    def second(task, policy, instance: Instance, rng) -> Guess | None:
        calls.append(instance)
        return whole(task, policy, instance, rng) if len(calls) == 2 else None

    monkeypatch.setattr(keeping, "policy_start", second)
    assert keep(task, folder, result, 3, 0.5, seed=0, progress=False).data.trajectories == 1
    with pytest.raises(PolicyError, match="none of 2 rollouts of .* is finite"):
        keep(task, folder, result, 2, 0.5, seed=0, progress=False)
