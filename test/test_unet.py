import dataclasses

import pytest
import torch
from torch import Tensor

from sobo_planner.errors import ConfigError
from sobo_training.networks import ops
from sobo_training.networks.kernels import library
from sobo_training.networks.unet import UNet, UNetConfig

pytestmark = pytest.mark.filterwarnings("ignore:.torch.jit.script:DeprecationWarning")

CONFIG = UNetConfig(action_dim=3, obs_dim=4, horizon=8, hidden=(8, 16), cond_dim=16, step_dim=8)


def make(dtype: torch.dtype = torch.float64, config: UNetConfig = CONFIG, batch: int = 3):
    torch.manual_seed(0)
    net = UNet(config)
    with torch.no_grad():
        for p in net.parameters():  # norms and biases start at values that hide mistakes
            p += 0.1 * torch.randn_like(p)
    net = net.to(dtype)
    sample, d_sample = torch.randn(2, batch, config.horizon, config.action_dim, dtype=dtype)
    observation, d_observation = torch.randn(2, batch, config.obs_dim, dtype=dtype)
    step = torch.arange(batch) % config.diffusion_steps
    return net, (sample, d_sample, step, observation, d_observation)


def test_default_size() -> None:
    net = UNet(UNetConfig(action_dim=12, obs_dim=25))
    assert 280_000 < sum(p.numel() for p in net.parameters()) < 340_000


@pytest.mark.parametrize("config", [CONFIG, UNetConfig(2, 3, horizon=16, hidden=(8, 8, 8), cond_dim=8)])
def test_time_major_network_equals_stock_layers(config: UNetConfig) -> None:
    net, (sample, _, step, observation, _) = make(config=config)
    expected = net.forward_reference(sample, step, observation)
    assert expected.shape == sample.shape
    torch.testing.assert_close(net(sample, step, observation), expected)


def test_dual_pass_equals_forward_mode_of_torch() -> None:
    net, (sample, d_sample, step, observation, d_observation) = make()
    value, tangent = net.forward_dual(sample, d_sample, step, observation, d_observation)
    expected = torch.func.jvp(
        lambda s, o: net.forward_reference(s, step, o), (sample, observation), (d_sample, d_observation)
    )
    torch.testing.assert_close(value, expected[0])
    torch.testing.assert_close(tangent, expected[1])


def test_dual_tangent_equals_finite_differences() -> None:
    net, (sample, d_sample, step, observation, d_observation) = make()
    _, tangent = net.forward_dual(sample, d_sample, step, observation, d_observation)
    h = 3e-6
    ahead = net(sample + h * d_sample, step, observation + h * d_observation)
    behind = net(sample - h * d_sample, step, observation - h * d_observation)
    torch.testing.assert_close(tangent, (ahead - behind) / (2 * h), atol=1e-7, rtol=1e-6)


def gradients(net: UNet, outputs: tuple[Tensor, ...]) -> list[Tensor]:
    """Gradients of a scalar in which every output counts, and not linearly."""
    loss = sum(((i + 1) * y + y.square()).sum() for i, y in enumerate(outputs))
    return list(torch.autograd.grad(loss, list(net.parameters()), materialize_grads=True))


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32])
@pytest.mark.parametrize("count", [1, 70, 130])
def test_tangents_of_the_first_samples_alone(dtype: torch.dtype, count: int) -> None:
    """As two passes: a dual one for these, a plain one for the others."""
    net, (sample, d_sample, step, observation, d_observation) = make(dtype, batch=140)
    found = net.forward_dual(sample, d_sample[:count], step, observation, d_observation[:count])
    first = (sample[:count], d_sample[:count], step[:count], observation[:count], d_observation[:count])
    value, tangent = net.forward_dual(*first)
    rest = net(sample[count:], step[count:], observation[count:])
    expected = torch.cat((value, rest)), tangent
    loose = {"atol": 2e-5, "rtol": 1e-4} if dtype == torch.float32 else {}
    for mine, theirs in zip(found, expected, strict=True):
        torch.testing.assert_close(mine, theirs, **loose)
    scale = 1.0 / sample.numel()
    for mine, theirs in zip(gradients(net, found), gradients(net, expected), strict=True):
        torch.testing.assert_close(scale * mine, scale * theirs, **loose)


def test_parameter_gradients_of_the_dual_pass() -> None:
    net, (sample, d_sample, step, observation, d_observation) = make()
    found = gradients(net, net.forward_dual(sample, d_sample, step, observation, d_observation))
    pair = torch.func.jvp(
        lambda s, o: net.forward_reference(s, step, o), (sample, observation), (d_sample, d_observation)
    )
    for mine, theirs in zip(found, gradients(net, pair), strict=True):
        torch.testing.assert_close(mine, theirs, atol=1e-8, rtol=1e-7)


def test_second_derivatives_of_the_plain_pass() -> None:
    net, (sample, direction, step, observation, _) = make()
    found = []
    for function in (
        lambda s: net(s, step, observation, True),
        lambda s: net.forward_reference(s, step, observation),
    ):
        s = sample.clone().requires_grad_()
        (pulled,) = torch.autograd.grad(function(s), s, direction, create_graph=True)
        found.append(gradients(net, (pulled,)))
    for mine, theirs in zip(*found, strict=True):
        torch.testing.assert_close(mine, theirs, atol=1e-8, rtol=1e-7)


@pytest.mark.skipif(library() is None, reason="no C compiler")
@pytest.mark.parametrize("batch", [1, 64, 70])
def test_compiled_kernels_equal_torch(batch: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Values, tangents and gradients; a batch of 70 leaves a remainder after the full strips."""
    longer = dataclasses.replace(CONFIG, horizon=16)  # where a group holds four values single precision is poor
    net, inputs = make(torch.float32, longer, batch)
    sample, _, step, observation, _ = inputs
    assert ops.plain_ops(sample) is ops.FusedOps
    results = []
    for compiled in (True, False):
        if not compiled:
            monkeypatch.setattr(ops, "library", lambda: None)
        plain, dual = (net(sample, step, observation),), net.forward_dual(*inputs)
        results.append([*plain, *dual, *gradients(net, plain), *gradients(net, dual)])
    for mine, theirs in zip(*results, strict=True):
        bound = 1e-3 * float(theirs.detach().abs().max())
        torch.testing.assert_close(mine, theirs, atol=bound, rtol=0)


def test_a_value_that_is_not_finite_is_not_hidden() -> None:
    net, inputs = make(torch.float32)
    inputs[0][1, 2, 0] = float("nan")
    value, _ = net.forward_dual(*inputs)
    assert value[1].isnan().any() and value[[0, 2]].isfinite().all()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"hidden": (8,)}, "two or more"),
        ({"hidden": (8, 12)}, "multiples of groups=8"),
        ({"horizon": 9}, "T_h=9 must be a multiple of 2"),
        ({"horizon": 2}, "too short"),
        ({"kernel": 4}, "kernel=4 must be odd"),
        ({"obs_dim": 0}, "must be positive"),
    ],
)
def test_impossible_sizes_are_refused(change: dict, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        UNetConfig(**{"action_dim": 3, "obs_dim": 4, "horizon": 8, "hidden": (8, 16), **change})
