"""The agents: the planners, their derivatives, what is replayed, and learning a small task."""

from __future__ import annotations

from typing import Any

import pytest

torch = pytest.importorskip("torch", reason="needs the extra `train`")

from sobo_planner.errors import ConfigError, PolicyError  # noqa: E402
from sobo_training.latent.agent import Agent  # noqa: E402
from sobo_training.latent.learning import Learning, LearnSettings  # noqa: E402
from sobo_training.latent.losses import actor_loss  # noqa: E402
from sobo_training.latent.model import LatentModel  # noqa: E402
from sobo_training.latent.mppi import plan_mppi  # noqa: E402
from sobo_training.latent.newton import local, optimum, plan_newton, refine  # noqa: E402
from sobo_training.latent.replay import Replay  # noqa: E402
from sobo_training.latent.settings import AgentSettings  # noqa: E402
from sobo_training.learning.trainer import TrainingDiverged  # noqa: E402

SMALL = {"latent": 6, "width": 16, "horizon": 3, "samples": 32, "elites": 8, "proposals": 4, "batch": 32}


class Points:
    """A point in -1 .. 1 that is pushed about and should be at 0.5."""

    name, observations, actions = "point", 1, 1

    def __init__(self, steps: int = 20) -> None:
        self.steps = self.frames = steps
        self.place = torch.zeros(0, 1)

    def reset(self, seeds: list[int]) -> Any:
        draws = [torch.rand(1, generator=torch.Generator().manual_seed(seed)) for seed in seeds]
        self.place = 2 * torch.stack(draws) - 1
        return self.place

    def step(self, actions: Any) -> tuple[Any, Any]:
        self.place = (self.place + 0.3 * actions).clamp(-1, 1)
        return self.place, (1 - (self.place[:, 0] - 0.5).abs())


class Bowl(LatentModel):
    """Returns that are known: the actions should be `aim`."""

    def __init__(self, aim: Any) -> None:
        super().__init__(2, 2, AgentSettings(**SMALL))
        self.double()
        self.aim = torch.nn.Parameter(aim)

    def returns(self, state: Any, actions: Any) -> Any:
        off = (actions - self.aim) * state[:, None, :2]
        return -(off**2).sum((1, 2)) - 0.2 * (off**4).sum((1, 2))


@pytest.fixture
def model() -> LatentModel:
    """Random, in double precision, with curved returns."""
    torch.manual_seed(3)
    model = LatentModel(4, 2, AgentSettings(**SMALL)).double()
    with torch.no_grad():
        for parameter in model.parameters():
            parameter += 0.4 * torch.randn_like(parameter)
    return model


def test_both_planners_find_the_best_actions_within_the_bounds() -> None:
    aim = torch.tensor([[0.3, -0.8], [1.4, 0.1], [-2.0, 0.0]], dtype=torch.double)
    bowl, state = Bowl(aim), torch.ones(2, 6, dtype=torch.double)
    best = aim.clamp(-1, 1).expand(2, -1, -1)
    starts = torch.rand(2, 3, 3, 2, dtype=torch.double) - 0.5
    found, score = plan_newton(bowl, state, starts, steps=8, damping=0.1)
    torch.testing.assert_close(found, best, atol=1e-6, rtol=0)
    torch.testing.assert_close(score, bowl.returns(state, best))
    settings = AgentSettings(**{**SMALL, "samples": 256, "iterations": 8})
    flat = Bowl(aim.float()).float()
    generator = torch.Generator().manual_seed(0)
    action, mean = plan_mppi(flat, state.float(), torch.zeros(2, 3, 2), settings, 0.05, generator, explore=False)
    torch.testing.assert_close(mean, best.float(), atol=0.15, rtol=0)
    assert (action == mean[:, 0]).all()


def test_hessian_against_differences(model) -> None:
    state, actions = torch.rand(2, 6).double(), 0.5 * torch.rand(2, 3, 2).double()
    around = local(model, state, actions, damping=1e-9)

    def gradient(flat: Any) -> Any:
        moved = flat.reshape(2, 3, 2).requires_grad_()
        return torch.autograd.grad(-model.returns(state, moved).sum(), moved)[0].flatten(1)

    flat = actions.flatten(1)
    columns = [(gradient(flat + 1e-5 * e) - gradient(flat - 1e-5 * e)) / 2e-5 for e in torch.eye(6).double()]
    hessian = torch.stack(columns, -1)
    torch.testing.assert_close(around.gradient, gradient(flat), atol=1e-9, rtol=0)
    values = torch.linalg.eigvalsh(hessian).abs().sort().values
    inverse = torch.linalg.eigvalsh(around.inverse).sort(descending=True).values
    torch.testing.assert_close(1 / inverse, values, rtol=1e-5, atol=0)


def test_steps_never_lower_the_return(model) -> None:
    state, actions = torch.rand(8, 6).double(), 2 * torch.rand(8, 3, 2).double() - 1
    before = model.returns(state, actions)
    refined, after = refine(model, state, actions, steps=4, damping=0.1)
    assert (after >= before).all() and (after > before + 1e-4).any()
    assert refined.abs().max() <= 1
    torch.testing.assert_close(model.returns(state, refined), after)


def test_the_optimum_moves_with_state_and_parameters_as_differences_say() -> None:
    aim = torch.tensor([[0.3, -0.8], [0.6, 0.1], [-2.0, 0.0]], dtype=torch.double)
    bowl, base = Bowl(aim), torch.tensor([[1.0, 2.0, 0, 0, 0, 0]], dtype=torch.double)
    with torch.no_grad():
        bowl.actor[0].weight.zero_()

    def planned() -> Any:
        return refine(bowl, base, torch.zeros(1, 3, 2).double(), steps=20, damping=1e-3)[0]

    found = planned()
    weights = torch.tensor([[1.0, -0.5], [2.0, 0.3], [5.0, 0.7]], dtype=torch.double)
    (optimum(bowl, base, found, 1e-6)[0] * weights).sum().backward()
    # The optimum is `aim` where no bound holds it, and does not move where one does.
    expected = weights * torch.tensor([[1.0, 1.0], [1.0, 1.0], [0.0, 1.0]], dtype=torch.double)
    torch.testing.assert_close(bowl.aim.grad, expected, atol=1e-6, rtol=0)


def test_gradient_of_the_actor_loss_against_planning_again() -> None:
    """Of a curved model, through encoder, dynamics and values; the optimum lies inside the bounds."""
    torch.manual_seed(1)
    settings = AgentSettings(**SMALL, newton_steps=15, damping=1e-4, actor_weight=1.0)
    agent = Agent(4, 2, settings, 0)
    model, critic = agent.model.double(), agent.critic.double()
    with torch.no_grad():
        for parameter in [*model.parameters(), *critic.parameters()]:
            parameter += 0.2 * torch.randn_like(parameter)
        critic.biases[-1] -= critic.biases[-1]
    plain = model.returns
    model.returns = lambda state, actions: plain(state, actions) - 0.5 * (actions**2).sum((1, 2))  # type: ignore[method-assign]
    observation = torch.randn(3, 4).double()
    names = ("encoder.0.weight", "dynamics.4.bias", "values.weights.1")
    parameters = dict(model.named_parameters())
    loss = actor_loss(model, critic, observation, settings)
    gradients = torch.autograd.grad(loss, [parameters[name] for name in names])
    for name, gradient in zip(names, gradients, strict=True):
        direction = torch.randn_like(gradient)
        found = []
        for step in (1e-5, -1e-5):
            with torch.no_grad():
                parameters[name] += step * direction
            found.append(actor_loss(model, critic, observation, settings).item())
            with torch.no_grad():
                parameters[name] -= step * direction
        assert (gradient * direction).sum().item() == pytest.approx((found[0] - found[1]) / 2e-5, rel=1e-3, abs=1e-7)


def test_replayed_sequences_are_whole_and_of_one_episode() -> None:
    replay = Replay(1, 1)
    for episode, length in enumerate((4, 2, 6)):
        begin = 100.0 * episode + torch.arange(length + 1)[:, None]
        replay.add(begin, begin[:-1] + 0.5, begin[:-1, 0] + 0.25)
    observations, actions, rewards = replay.sample(500, 3, torch.Generator().manual_seed(0))
    assert observations.shape == (4, 500, 1) and actions.shape == (3, 500, 1) and rewards.shape == (3, 500)
    assert (observations[1:] - observations[:-1] == 1).all()
    assert (actions - observations[:-1] == 0.5).all() and (rewards - observations[:-1, :, 0] == 0.25).all()
    assert set(observations[0, :, 0].tolist()) == {0.0, 1.0, 200.0, 201.0, 202.0, 203.0}
    with pytest.raises(ValueError, match="no episode of 7 steps"):
        replay.sample(1, 7, torch.Generator())


@pytest.mark.parametrize("planner", ["mppi", "difftori"])
def test_a_small_task_is_learned(planner) -> None:
    agent = AgentSettings(planner=planner, **SMALL, noise_steps=200, lr=3e-3)
    record = Learning(Points(), agent, LearnSettings(episodes=12, random=4, evaluations=4)).run()
    assert record["frames"] == 240 and record["updates"] == 160
    assert record["return"] > sum(record["returns"][:4]) / 4 + 3.0


def test_a_stopped_run_goes_on_as_if_it_had_not_stopped(tmp_path) -> None:
    agent = AgentSettings(planner="difftori", **{**SMALL, "batch": 16, "newton_steps": 1})
    whole = Learning(Points(8), agent, LearnSettings(episodes=8, evaluations=2, parallel=2, random=2)).run()
    parts = LearnSettings(episodes=8, evaluations=2, parallel=2, random=2, max_minutes=1e-9)
    for _ in range(5):
        part = Learning(Points(8), agent, parts, tmp_path).run()
    assert {**part, "minutes": 0} == {**whole, "minutes": 0} and whole["return"] is not None
    with pytest.raises(PolicyError, match=r"holds another run \(seed: 0 there, 1 now\)"):
        Learning(Points(8), agent, LearnSettings(episodes=8, parallel=2, random=2, seed=1), tmp_path)


def test_a_loss_that_is_not_finite_leaves_the_weights_alone() -> None:
    agent = Agent(1, 1, AgentSettings(**SMALL), 0)
    agent.replay.add(torch.zeros(9, 1), torch.zeros(8, 1), torch.full((8,), float("inf")))
    with pytest.raises(TrainingDiverged, match="at update 0; use a lower learning rate"):
        agent.update()
    assert all(torch.isfinite(parameter).all() for parameter in agent.model.parameters())


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"planner": "cem"}, "unknown planner 'cem'; use mppi, difftori"),
        ({"horizon": 0}, "horizon must be at least 1"),
        ({"lr": float("nan")}, "lr must be positive and finite, got nan"),
        ({"temperature": 0.0}, "temperature must be positive and finite, got 0.0"),
        ({"target_rate": 1.5}, r"target_rate must lie in \(0, 1\], got 1.5"),
        ({"target_rate": 0.0}, "target_rate must lie in"),
        ({"noise": (0.5, -0.1)}, "noise must be finite and not negative"),
        ({"noise": (float("inf"), 0.1)}, "noise must be finite and not negative"),
    ],
)
def test_settings_that_cannot_be(values, message) -> None:
    with pytest.raises(ConfigError, match=message):
        AgentSettings(**values)


def test_settings_at_their_bounds() -> None:
    assert AgentSettings(target_rate=1.0, noise=(0.0, 0.0)).noise_after(10) == 0.0


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"updates": float("nan")}, "updates must be positive and finite, got nan"),
        ({"updates": 0.0}, "updates must be positive and finite"),
        ({"seed": -1}, "seed must not be negative, got -1"),
        ({"max_minutes": 0.0}, "max_minutes must be positive, got 0.0"),
        ({"episodes": 6}, "episodes and random must be multiples of parallel, 4"),
    ],
)
def test_runs_that_cannot_be(values, message) -> None:
    with pytest.raises(ConfigError, match=message):
        LearnSettings(**values)
