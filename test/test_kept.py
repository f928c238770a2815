"""What a network keeps: its agreement with a teacher, beside what it learns."""

from __future__ import annotations

import copy
import dataclasses
from pathlib import Path

import pytest
import torch
from toy_task import ToyTask

from sobo_planner.errors import ConfigError
from sobo_training.config import TrainConfig
from sobo_training.learning.chunks import TrainingSet, build
from sobo_training.learning.diffusion import Noiser
from sobo_training.learning.kept import Kept, kept_terms
from sobo_training.learning.losses import Batch, Draw, apply, draw, sobolev_terms
from sobo_training.learning.train import TrainResult, train
from sobo_training.learning.trainer import Trainer
from sobo_training.networks.network import Network, network

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning")
NOISER = Noiser(5, 1)


@pytest.fixture(scope="module")
def toy() -> ToyTask:
    return ToyTask()


@pytest.fixture(scope="module")
def data(toy: ToyTask) -> TrainingSet:
    return build(toy.solutions(4), toy, 8)


def nets(toy: ToyTask, config: TrainConfig) -> tuple[Network, Network]:
    """Two networks of other weights, in double precision."""
    return tuple(network(toy, dataclasses.replace(config, seed=seed)).double() for seed in (0, 1))


def doubled(batch: Batch) -> Batch:
    return Batch(**{name: value.double() for name, value in vars(batch).items()})


def told(toy: ToyTask, data: TrainingSet, config: TrainConfig) -> tuple[Network, Network, Batch, Draw]:
    batch = doubled(data.batch(torch.arange(6)))
    return *nets(toy, config), batch, draw(batch, config.K, config.mode, torch.Generator().manual_seed(3))


@pytest.mark.parametrize("method", ["sob_diff", "sob_mlp"])
def test_predictions_and_their_derivatives_are_compared(toy: ToyTask, data: TrainingSet, method: str) -> None:
    """With the reference network and its derivative by torch; the history in the chunk does not move."""
    config = TrainConfig.from_task(toy, method, mode="jvp")
    chunks = build(toy.solutions(4), toy, config.T_h, config.action)
    net, teacher, batch, sample = told(toy, chunks, config)
    noiser = Noiser(config.K, 1)
    noised = noiser(batch.chunk, sample.noise, sample.step)
    dx = apply(batch.observation_jacobian, sample.direction)

    def difference(observation: torch.Tensor) -> torch.Tensor:
        return net.forward_reference(noised, sample.step, observation) - teacher.forward_reference(
            noised, sample.step, observation
        )

    value, slope = torch.func.jvp(difference, (batch.observation,), (dx,))
    zeroth, first = kept_terms(net, teacher, noiser, batch, sample, config)
    assert float(zeroth.detach()) == pytest.approx(float(value.detach().square().mean()), rel=1e-9)
    assert first is not None and float(first.detach()) == pytest.approx(float(slope.detach().square().mean()), rel=1e-9)
    assert max(float(each.detach()) for each in kept_terms(net, net, noiser, batch, sample, config)) < 1e-30
    (zeroth + first).backward()
    assert all(p.grad is None for p in teacher.parameters())
    assert any(p.grad is not None for p in net.parameters())
    one = kept_terms(net, teacher, noiser, batch, sample, dataclasses.replace(config, share=0.01))[1].detach()
    assert float(one) == pytest.approx(float(slope[:1].detach().square().mean()), rel=1e-9)
    half = dataclasses.replace(config, share=0.5)
    part = kept_terms(net, teacher, noiser, batch, sample, half)[1].detach()
    assert float(part) == pytest.approx(float(slope[:3].detach().square().mean()), rel=1e-9)


@pytest.mark.parametrize(
    ("change", "scale"),
    [({"loss": "diff"}, 0.0), ({"mode": "vjp"}, 0.0), ({"mode": "augment", "augment_scale": 3.0}, 3.0)],
)
def test_other_modes_compare_predictions_alone(toy: ToyTask, data: TrainingSet, change: dict, scale: float) -> None:
    """Mode augment does so at observations of moved states."""
    config = TrainConfig.from_task(toy, "sob_diff", **change)
    net, teacher, batch, sample = told(toy, data, config)
    noised, observation = NOISER(batch.chunk, sample.noise, sample.step), batch.observation
    if scale:
        observation = observation + apply(batch.observation_jacobian, scale * sample.direction)
    value = net(noised, sample.step, observation) - teacher(noised, sample.step, observation)
    zeroth, first = kept_terms(net, teacher, NOISER, batch, sample, config)
    assert first is None
    assert float(zeroth.detach()) == pytest.approx(float(value.detach().square().mean()), rel=1e-9)


@pytest.mark.parametrize(("share", "rows"), [(0.5, 8), (0.25, 4), (0.01, 1), (0.99, 15)])
def test_batches_hold_both_kinds(toy: ToyTask, data: TrainingSet, share: float, rows: int) -> None:
    config = TrainConfig.from_task(toy, batch=16)
    kept = Kept(data, network(toy, config), share)
    assert kept.rows(16) == rows
    trainer = Trainer(data, toy, config, kept=kept)
    batch, sample = trainer.sample()
    assert len(batch.chunk) == len(sample.noise) == 16 and trainer.learned == 16 - rows
    assert trainer.kept is not None and not any(p.requires_grad for p in trainer.kept.teacher.parameters())


@pytest.mark.parametrize("change", [{}, {"mode": "augment"}, {"mode": "vjp"}, {"loss": "diff"}])
def test_the_loss_is_a_mean_over_the_batch(toy: ToyTask, data: TrainingSet, change: dict) -> None:
    config = TrainConfig.from_task(toy, batch=16, **change)
    teacher = network(toy, dataclasses.replace(config, seed=9))
    trainer = Trainer(data, toy, config, kept=Kept(data, teacher, 0.25))
    batch, sample = trainer.sample()
    learned = batch.rows(slice(12)), sample.rows(slice(12))
    others = batch.rows(slice(12, None)), sample.rows(slice(12, None))
    loss, slope = trainer._terms(batch, sample)
    if config.loss == "diff":
        config_less = dataclasses.replace(config, loss="diff")
        mine = trainer._learned_terms(*learned)
        theirs = kept_terms(trainer.net, teacher, trainer.noiser, *others, config_less)
    else:
        mine = sobolev_terms(trainer.net, trainer.noiser, *learned, config.mode, config.augment_scale)
        theirs = kept_terms(trainer.net, teacher, trainer.noiser, *others, config)
    assert float(loss.detach()) == pytest.approx(float((0.75 * mine[0] + 0.25 * theirs[0]).detach()), rel=1e-5)
    if mine[1] is None:
        assert slope is None
    else:
        expected = 0.75 * mine[1] + (0.25 * theirs[1] if theirs[1] is not None else 0.0)
        assert float(slope.detach()) == pytest.approx(float(expected.detach()), rel=1e-5)


def test_kept_chunks_hold_a_network_to_its_teacher(toy: ToyTask, data: TrainingSet, tmp_path: Path) -> None:
    """Elsewhere, that is at other observations, it stays nearer to its teacher than without."""
    config = TrainConfig.from_task(toy, batch=16, steps=60)
    other = build(toy.solutions(4, seed=5), toy, 8, normaliser=data.normaliser)
    far = dataclasses.replace(other.samples, observation=other.samples.observation + 5.0)
    other = dataclasses.replace(other, samples=far)
    given = TrainResult(network(toy, config).eval(), data.normaliser, config, {})
    before = copy.deepcopy(given.net.state_dict())
    distances = []
    for name, kept in (("with", Kept(other, given.net, 0.5)), ("without", None)):
        made = train(data, toy, tmp_path / name, config, progress=False, previous=given, kept=kept)
        batch = other.batch(torch.arange(len(other)))
        sample = draw(batch, config.K, "jvp", torch.Generator().manual_seed(0))
        with torch.no_grad():
            distances.append(float(kept_terms(made.net, given.net, NOISER, batch, sample, config)[0]))
    assert distances[0] < 0.6 * distances[1], distances
    assert all(torch.equal(before[name], value) for name, value in given.net.state_dict().items())


def test_shares_and_batches_that_cannot_work_are_refused(toy: ToyTask, data: TrainingSet) -> None:
    net = network(toy, TrainConfig.from_task(toy))
    for share in (0.0, 1.0, float("nan")):
        with pytest.raises(ConfigError, match="share of kept chunks must lie in"):
            Kept(data, net, share)
    assert Kept(data, net, 0.5).rows(2) == 1
    with pytest.raises(ConfigError, match="batch must be at least 2 where chunks are kept, got 1"):
        Kept(data, net, 0.5).rows(1)
