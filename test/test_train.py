import dataclasses
import json
from pathlib import Path

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from toy_task import ToyTask

from sobo_planner.errors import ConfigError, PolicyError
from sobo_planner.tasks import load_task
from sobo_planner.tasks.config import TrainingConfig
from sobo_training.config import TrainConfig
from sobo_training.export.exporter import load_run
from sobo_training.learning import trainer as module
from sobo_training.learning.chunks import TrainingSet, build
from sobo_training.learning.muon import Muon
from sobo_training.learning.train import TrainResult, train
from sobo_training.learning.trainer import CHECKPOINT, Trainer, TrainingDiverged

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning")


def test_a_task_file_has_the_defaults_of_a_run_and_can_change_them() -> None:
    """They are written twice, because the run-time package does not import the training."""
    run = TrainConfig()
    for field in dataclasses.fields(TrainingConfig):
        assert field.default == getattr(run, field.name), field.name
    assert TrainConfig.from_task(load_task("ur5", augment_scale=0.7)).augment_scale == 0.7


@pytest.fixture(scope="module")
def task() -> ToyTask:
    return ToyTask()


@pytest.fixture(scope="module")
def data(task: ToyTask) -> TrainingSet:
    return build(task.solutions(4), task, 8)


def config_of(task: ToyTask, **options: object) -> TrainConfig:
    return TrainConfig.from_task(task, **{"warmup": 5, "log_every": 4, "checkpoint_every": 6, **options})


def same(a: TrainResult, b: TrainResult) -> bool:
    first, second = a.net.state_dict(), b.net.state_dict()
    return all(torch.equal(first[name], second[name]) for name in first)


@pytest.mark.parametrize(
    "options",
    [{"loss": "diff"}, {"mode": "jvp"}, {"mode": "vjp"}, {"mode": "augment"}, {"optimizer": "adamw", "mode": "jvp"}],
)
def test_every_loss_falls(task: ToyTask, data: TrainingSet, tmp_path: Path, options: dict) -> None:
    result = train(data, task, tmp_path, config_of(task, steps=60, lr=1e-2, **options), progress=False)
    assert result.summary["steps"] == 60
    assert result.summary["loss"] < 0.5  # the mean of the data gives 1
    assert ("first_order" in result.summary) == (options.get("mode") in ("jvp", "vjp"))
    assert not result.net.training


def test_resumed_run_equals_uninterrupted_run(task: ToyTask, data: TrainingSet, tmp_path: Path, monkeypatch) -> None:
    config = config_of(task, steps=20)
    whole = train(data, task, tmp_path / "whole", config, progress=False)

    advance = Trainer.advance

    def killed(self: Trainer):
        if self.step == 15:
            raise KeyboardInterrupt
        return advance(self)

    monkeypatch.setattr(Trainer, "advance", killed)
    with pytest.raises(KeyboardInterrupt):
        train(data, task, tmp_path / "parts", config, progress=False)
    monkeypatch.setattr(Trainer, "advance", advance)
    assert torch.load(tmp_path / "parts" / CHECKPOINT)["step"] == 12
    resumed = train(data, task, tmp_path / "parts", config, progress=False)
    assert same(whole, resumed)
    assert not same(whole, train(data, task, tmp_path / "other", dataclasses.replace(config, seed=1), progress=False))


def test_finished_run_is_not_repeated(task: ToyTask, data: TrainingSet, tmp_path: Path, monkeypatch) -> None:
    config = config_of(task, steps=6)
    first = train(data, task, tmp_path, config, progress=False)
    monkeypatch.setattr(Trainer, "advance", lambda self: pytest.fail("trained again"))
    again = train(data, task, tmp_path, config, progress=False)
    assert same(first, again) and same(first, load_run(tmp_path, task))
    assert again.summary["loss"] == first.summary["loss"]


def test_run_folder_holds_config_and_curves(task: ToyTask, data: TrainingSet, tmp_path: Path) -> None:
    config = config_of(task, steps=8)
    train(data, task, tmp_path, config, progress=False)
    stored = json.loads((tmp_path / "config.json").read_text())
    assert stored.pop("task") == "toy"
    assert TrainConfig(**stored) == config
    assert list(tmp_path.glob("events.out.tfevents.*"))
    assert not list(tmp_path.glob("*.tmp"))


def test_other_configuration_or_data_is_not_resumed(task: ToyTask, data: TrainingSet, tmp_path: Path) -> None:
    config = config_of(task, steps=6)
    train(data, task, tmp_path, config, progress=False)
    with pytest.raises(PolicyError, match=r"another configuration \(alpha: 1.0 there, 2.0 now\)"):
        train(data, task, tmp_path, dataclasses.replace(config, alpha=2.0), progress=False)
    with pytest.raises(PolicyError, match="other data"):
        train(build(task.solutions(5), task, 8), task, tmp_path, config, progress=False)
    longer = train(data, task, tmp_path, dataclasses.replace(config, steps=8), progress=False)
    assert longer.summary["steps"] == 8


@pytest.mark.parametrize("damage", [b"", b"not a checkpoint", None])
def test_damaged_checkpoint(task: ToyTask, data: TrainingSet, tmp_path: Path, damage: bytes | None) -> None:
    config = config_of(task, steps=6)
    train(data, task, tmp_path, config, progress=False)
    path = tmp_path / CHECKPOINT
    path.write_bytes(path.read_bytes()[:1000] if damage is None else damage)
    with pytest.raises(PolicyError, match="damaged"):
        train(data, task, tmp_path, config, progress=False)
    with pytest.raises(PolicyError, match="no checkpoint"):
        load_run(tmp_path / "nowhere", task)


def test_a_checkpoint_of_before_there_were_optimizers_is_kept(task: ToyTask, data: TrainingSet, tmp_path: Path) -> None:
    config = config_of(task, steps=6)
    train(data, task, tmp_path, config, progress=False)
    path = tmp_path / CHECKPOINT
    state = torch.load(path, weights_only=True)
    del state["config"]["optimizer"]
    torch.save(state | {"optimizer": state.pop("optimizers")[0]}, path)
    before = path.read_bytes()
    with pytest.raises(PolicyError, match=r"another configuration \(optimizer: None there, muon now\); keep it"):
        train(data, task, tmp_path, dataclasses.replace(config, steps=8), progress=False)
    assert path.read_bytes() == before


@pytest.mark.parametrize("method", ["sob_diff", "sob_mlp"])
def test_muon_is_for_the_weights_of_hidden_layers(task: ToyTask, method: str) -> None:
    config = TrainConfig.from_task(task, method)
    data = build(task.solutions(2), task, config.T_h, config.action)
    muon, rest = Trainer(data, task, config).optimizers
    assert isinstance(muon, Muon) and isinstance(rest, torch.optim.AdamW)
    first, second = (each.param_groups[0]["params"] for each in (muon, rest))
    trainer = Trainer(data, task, dataclasses.replace(config, optimizer="adamw"))
    (alone,) = trainer.optimizers
    assert isinstance(alone, torch.optim.AdamW)
    everything = list(trainer.net.parameters())
    assert len(first) + len(second) == len(alone.param_groups[0]["params"]) == len(everything)
    assert all(p.ndim > 1 for p in first)
    assert [p.shape for p in second if p.ndim > 1] == [trainer.net.output_layer.weight.shape]


def test_divergence_is_caught_and_dumped(task: ToyTask, data: TrainingSet, tmp_path: Path) -> None:
    chunk = data.samples.chunk.clone()
    chunk[:] = torch.inf
    broken = dataclasses.replace(data, samples=dataclasses.replace(data.samples, chunk=chunk))
    with pytest.raises(TrainingDiverged, match=r"at step 0.*diverged.pt"):
        train(broken, task, tmp_path, config_of(task, steps=6), progress=False)
    dump = torch.load(tmp_path / "diverged.pt")
    assert dump["step"] == 0 and dump["batch"]["chunk"].isinf().all()
    (tmp_path / "diverged.pt").unlink()
    (tmp_path / "diverged.pt").mkdir()
    with pytest.raises(TrainingDiverged, match=r"at step 0.*cannot write .*diverged.pt: Is a directory; try a smaller"):
        train(broken, task, tmp_path, config_of(task, steps=6), progress=False)


def test_wall_clock_budget_ends_the_run_with_a_finished_schedule(
    task: ToyTask, data: TrainingSet, tmp_path: Path, monkeypatch
) -> None:
    clock = iter(range(0, 10**6, 3))
    monkeypatch.setattr(module.time, "monotonic", lambda: next(clock))  # each step takes 3 s
    result = train(data, task, tmp_path, config_of(task, steps=1000, max_minutes=1.0), progress=False)
    assert result.summary["steps"] == 20 and result.summary["minutes"] == 1.0


@pytest.mark.parametrize("emphasis", [0.0, 0.5, 1.0])
def test_chunks_are_drawn_by_their_motion(task: ToyTask, data: TrainingSet, emphasis: float) -> None:
    """Frequencies over many batches against the shares asked for."""
    trainer = Trainer(data, task, config_of(task, steps=100, emphasis=emphasis, batch=500))
    chunks, counts = data.samples.chunk.reshape(len(data), -1), torch.zeros(len(data))
    for trainer.step in range(40):
        drawn = trainer.sample()[0].chunk.reshape(500, -1)
        counts += torch.bincount(torch.cdist(drawn, chunks).argmin(1), minlength=len(data))
    moves = (data.samples.chunk - data.samples.chunk[:, :1]).norm(dim=(1, 2))
    expected = (1 - emphasis) / len(data) + emphasis * moves / moves.sum()
    spread = (expected * (1 - expected) / 20000).sqrt()
    assert float(((counts / 20000 - expected) / spread).abs().max()) < 4.5


def test_relative_errors_bound_the_first_order_term(task: ToyTask, data: TrainingSet) -> None:
    """The unit of dx makes |J|^2 / n into |J|^2 / (n + |J|^2), for whatever moves with the state."""
    steep = data.samples.chunk_jacobian * torch.logspace(-2, 3, len(data))[:, None, None, None]
    set_ = dataclasses.replace(data, samples=dataclasses.replace(data.samples, chunk_jacobian=steep))
    plain, relative = (Trainer(set_, task, config_of(task, relative=given)).sample()[0] for given in (False, True))
    n = plain.chunk[0].numel()
    squares = plain.chunk_jacobian.square().sum((1, 2, 3))
    torch.testing.assert_close(relative.chunk_jacobian.square().sum((1, 2, 3)) / n, squares / (n + squares))
    ratio = (n / (n + squares)).sqrt()
    torch.testing.assert_close(relative.observation_jacobian, plain.observation_jacobian * ratio[:, None, None])


def test_learning_rate_warms_up_and_decays(task: ToyTask, data: TrainingSet) -> None:
    trainer = Trainer(data, task, config_of(task, steps=100, warmup=9, lr=1.0))
    rates = []
    for step in (0, 9, 50, 100):
        trainer.step = step
        rates.append(trainer.learning_rate())
    assert rates == pytest.approx([0.1, 0.98, 0.5, 0.0], abs=0.01)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"loss": "l2"}, "loss='l2'"),
        ({"mode": "both"}, "mode='both'"),
        ({"optimizer": "sgd"}, "optimizer='sgd'"),
        ({"steps": 0}, "steps=0"),
        ({"lr": float("nan")}, "lr=nan"),
        ({"alpha": -1.0}, "alpha=-1.0"),
        ({"ema": 1.0}, "ema=1.0"),
        ({"share": 0.0}, "share=0.0"),
        ({"emphasis": 1.5}, "emphasis=1.5"),
        ({"T_a": 8}, "T_a=8 do not fit"),
        ({"max_minutes": 0.0}, "max_minutes=0.0"),
        ({"learning_rate": 1.0}, "unknown training option learning_rate"),
    ],
)
def test_bad_options_are_named(task: ToyTask, change: dict, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        TrainConfig.from_task(task, **change)


@given(st.floats(0, 10), st.integers(1, 10**6), st.sampled_from(["diff", "sobolev"]))
def test_config_survives_json(alpha: float, steps: int, loss: str) -> None:
    config = TrainConfig(alpha=alpha, steps=steps, loss=loss)
    assert TrainConfig(**json.loads(json.dumps(config.to_dict()))) == config
