"""Building blocks of the U-Net in time-major layout, with hand-written forward-mode tangents.

Every activation is stored as `[T, C, B]`: time, channel, batch (batch contiguous). In that layout the window
of a convolution over time is a contiguous run of rows, so one convolution is `T` matrix products that read
the padded input in place; normalisation and FiLM run along contiguous memory. The backends below share one
vocabulary, and `unet.UNet` is written once in terms of it:

- `PlainOps`: values are tensors. Differentiable any number of times, as the `vjp` loss needs.
- `DualOps`: values are `(primal, tangent)` pairs; `tangent is None` stands for zero. Each operation
  propagates the tangent analytically and has a first-order backward pass, which makes a forward-mode
  derivative trainable for about twice the cost of a plain pass.
- `BatchMajorOps`: values are tensors `[B, C, T]` and stock PyTorch operators: the reference, and what is
  exported.
"""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from sobo_training.kernels import Activate, library

NORM_EPS = 1e-5


def windows(x: Tensor, left: int, right: int) -> Tensor:
    """View the rows seen by a convolution with `left + 1 + right` taps.

    Args:
        x: [T, C, B].
        left: Taps (and zero padding) before the current row.
        right: Taps (and zero padding) after it.

    Returns:
        [T, (left + 1 + right) * C, B], overlapping views of one padded buffer: read only.
    """
    length, channels, batch = x.shape
    if left or right:
        padded = x.new_empty(length + left + right, channels, batch)
        padded[:left].zero_()
        padded[left : left + length].copy_(x)
        padded[left + length :].zero_()
    else:
        padded = x.contiguous()
    taps = left + 1 + right
    return padded.as_strided((length, taps * channels, batch), (channels * batch, batch, 1))


def _adjoint(weight: Tensor, taps: int) -> Tensor:
    """Weight of the convolution that maps output gradients to input gradients."""
    out_channels = weight.shape[0]
    flipped = weight.view(out_channels, taps, -1).flip(1)
    return flipped.permute(2, 1, 0).reshape(-1, taps * out_channels)


def _correlate(x: Tensor, weight: Tensor, left: int, right: int) -> Tensor:
    view = windows(x, left, right)
    return torch.bmm(weight.expand(view.shape[0], *weight.shape), view)


class _Conv(torch.autograd.Function):
    """Convolution over time. Its gradients are again `_Conv` and `_ConvWeightGrad`, so it has every
    derivative."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: Tensor, left: int, right: int) -> Tensor:
        ctx.save_for_backward(x, weight)
        ctx.padding = (left, right)
        return _correlate(x, weight, left, right)

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor | None, ...]:
        (grad,) = grads
        x, weight = ctx.saved_tensors
        left, right = ctx.padding
        need_x, need_weight = ctx.needs_input_grad[:2]
        taps = left + 1 + right
        grad_x = _Conv.apply(grad, _adjoint(weight, taps), right, left) if need_x else None
        grad_weight = _ConvWeightGrad.apply(x, grad, left, right) if need_weight else None
        return grad_x, grad_weight, None, None


class _ConvWeightGrad(torch.autograd.Function):
    """Gradient of `<grad, conv(x, weight)>` in `weight`: bilinear in `x` and `grad`."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, grad: Tensor, left: int, right: int) -> Tensor:
        ctx.save_for_backward(x, grad)
        ctx.padding = (left, right)
        view = windows(x, left, right)
        return torch.addbmm(x.new_zeros(()), grad.contiguous(), view.transpose(1, 2), beta=0)

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor | None, ...]:
        (direction,) = grads
        x, grad = ctx.saved_tensors
        left, right = ctx.padding
        taps = left + 1 + right
        grad_x = _Conv.apply(grad, _adjoint(direction, taps), right, left)
        return grad_x, _Conv.apply(x, direction, left, right), None, None


class _DualConv(torch.autograd.Function):
    """Convolution of a primal and its tangent; the weight gradient of both is accumulated in one buffer."""

    @staticmethod
    def forward(
        ctx: Any, x: Tensor, dx: Tensor, weight: Tensor, left: int, right: int
    ) -> tuple[Tensor, Tensor]:
        ctx.save_for_backward(x, dx, weight)
        ctx.padding = (left, right)
        return _correlate(x, weight, left, right), _correlate(dx, weight, left, right)

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor | None, ...]:
        grad, grad_tangent = (g.contiguous() for g in grads)
        x, dx, weight = ctx.saved_tensors
        left, right = ctx.padding
        grad_x = grad_dx = None
        if ctx.needs_input_grad[0] or ctx.needs_input_grad[1]:
            adjoint = _adjoint(weight, left + 1 + right)
            grad_x = _correlate(grad, adjoint, right, left)
            grad_dx = _correlate(grad_tangent, adjoint, right, left)
        grad_weight = torch.addbmm(x.new_zeros(()), grad, windows(x, left, right).transpose(1, 2), beta=0)
        grad_weight = torch.addbmm(grad_weight, grad_tangent, windows(dx, left, right).transpose(1, 2))
        return grad_x, grad_dx, grad_weight, None, None


class _DualMish(torch.autograd.Function):
    """mish(y) = y tanh(softplus(y)) with tangent mish'(y) dy; the backward pass uses mish''."""

    @staticmethod
    def forward(ctx: Any, y: Tensor, dy: Tensor) -> tuple[Tensor, Tensor]:
        e = torch.exp(y.clamp(max=20.0))
        sigmoid = e / (e + 1)
        numerator = e * (e + 2)
        t = numerator / (numerator + 2)  # tanh(softplus(y)) without the logarithm
        dt = torch.addcmul(sigmoid, t * t, sigmoid, value=-1)
        slope = torch.addcmul(t, y, dt)
        ctx.save_for_backward(y, dy, t, sigmoid, dt, slope)
        return y * t, slope * dy

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor, Tensor]:
        grad, grad_tangent = grads
        y, dy, t, sigmoid, dt, slope = ctx.saved_tensors
        bend = (1 - sigmoid).addcmul_(t, sigmoid, value=-2).mul_(y).add_(2).mul_(dt)
        grad_y = (grad * slope).addcmul_(bend.mul_(dy), grad_tangent)
        return grad_y, grad_tangent * slope


class _DualNorm(torch.autograd.Function):
    """Group normalisation of [T, G, c, B] and its tangent, statistics over (T, c)."""

    @staticmethod
    def forward(ctx: Any, z: Tensor, dz: Tensor, gain: Tensor, bias: Tensor) -> tuple[Tensor, Tensor]:
        centred = z - z.mean((0, 2), keepdim=True)
        r = centred.square().mean((0, 2), keepdim=True).add_(NORM_EPS).rsqrt_()
        unit = centred.mul_(r)
        u = dz - dz.mean((0, 2), keepdim=True)
        p = (unit * u).mean((0, 2), keepdim=True)
        w = torch.addcmul(u, unit, p, value=-1)  # r * w is the tangent of `unit`
        ctx.save_for_backward(unit, u, w, p, r, gain)
        return torch.addcmul(bias, unit, gain), w * (r * gain)

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        grad, grad_tangent = grads
        unit, u, w, p, r, gain = ctx.saved_tensors
        scaled = grad_tangent * r
        grad_gain = torch.addcmul(grad * unit, scaled, w).sum((0, 3), keepdim=True)
        grad_bias = grad.sum((0, 3), keepdim=True)
        h = scaled.mul_(gain)  # already carries r
        h_mean = h.mean((0, 2), keepdim=True)
        h_unit = (h * unit).mean((0, 2), keepdim=True)
        grad_dz = (h - h_mean).addcmul_(unit, h_unit, value=-1)
        radial = (h * w).mean((0, 2), keepdim=True)  # through r itself
        g = (grad * gain).addcmul_(h, p, value=-1).addcmul_(u, h_unit, value=-1)
        g_unit = (g * unit).mean((0, 2), keepdim=True).add_(radial)
        grad_z = g.sub_(g.mean((0, 2), keepdim=True)).addcmul_(unit, g_unit, value=-1).mul_(r)
        return grad_z, grad_dz, grad_gain, grad_bias


def conv_weight(conv: nn.Conv1d) -> Tensor:
    """[out, taps * in] matrix of a convolution whose parameter is [out, in, taps]."""
    return conv.weight.transpose(1, 2).reshape(conv.out_channels, -1)


def down_weight(conv: nn.Conv1d) -> Tensor:
    """Stride-two convolution (3 taps) as a two-tap one over pairs of rows: [out, 2 * (2 * in)]."""
    return F.pad(conv_weight(conv), (conv.in_channels, 0))


def up_weight(conv: nn.ConvTranspose1d) -> Tensor:
    """Transposed convolution (4 taps, stride 2) as a three-tap one writing pairs: [2 * out, 3 * in]."""
    tap = conv.weight.permute(2, 1, 0)  # [4, out, in]
    zero = torch.zeros_like(tap[0])
    even = torch.cat((tap[3], tap[1], zero), 1)
    odd = torch.cat((zero, tap[2], tap[0]), 1)
    return torch.cat((even, odd), 0)


class PlainOps:
    """Tensors [T, C, B]."""

    @staticmethod
    def conv(x: Tensor, conv: nn.Conv1d) -> Tensor:
        pad = conv.kernel_size[0] // 2
        y = _Conv.apply(x, conv_weight(conv), pad, pad)
        return y if conv.bias is None else y + conv.bias[:, None]

    @staticmethod
    def down(x: Tensor, conv: nn.Conv1d) -> Tensor:
        pairs = x.reshape(x.shape[0] // 2, -1, x.shape[2])
        return _Conv.apply(pairs, down_weight(conv), 1, 0)

    @staticmethod
    def up(x: Tensor, conv: nn.ConvTranspose1d) -> Tensor:
        y = _Conv.apply(x, up_weight(conv), 1, 1)
        return y.view(2 * x.shape[0], -1, x.shape[2])

    @classmethod
    def activate(cls, x: Tensor, norm: nn.GroupNorm, film: tuple[Tensor, Tensor] | None) -> Tensor:
        h = cls.mish(cls.norm(x, norm))
        return h if film is None else torch.addcmul(h + film[1], h, film[0])

    @staticmethod
    def norm(x: Tensor, norm: nn.GroupNorm) -> Tensor:
        z = x.view(x.shape[0], norm.num_groups, -1, x.shape[2])
        centred = z - z.mean((0, 2), keepdim=True)
        r = (centred.square().mean((0, 2), keepdim=True) + NORM_EPS).rsqrt()
        shape = (1, norm.num_groups, -1, 1)
        return torch.addcmul(norm.bias.view(shape), centred, norm.weight.view(shape) * r).view(x.shape)

    @staticmethod
    def mish(x: Tensor) -> Tensor:
        return F.mish(x)

    @staticmethod
    def linear(x: Tensor, linear: nn.Linear) -> Tensor:
        """[in, B] -> [out, B]."""
        return torch.addmm(linear.bias[:, None], linear.weight, x)

    @staticmethod
    def add(x: Tensor, y: Tensor) -> Tensor:
        return x + y

    @staticmethod
    def join(x: Tensor, y: Tensor) -> Tensor:
        return torch.cat((x, y), 1)

    @staticmethod
    def split(x: Tensor, sizes: list[int]) -> list[Tensor]:
        return list(x.split(sizes))


Dual = tuple[Tensor, Tensor]


class DualOps:
    """Pairs (primal [T, C, B], tangent [T, C, B])."""

    @staticmethod
    def _conv(x: Dual, weight: Tensor, left: int, right: int) -> Dual:
        return _DualConv.apply(*x, weight, left, right)

    @classmethod
    def conv(cls, x: Dual, conv: nn.Conv1d) -> Dual:
        pad = conv.kernel_size[0] // 2
        y, dy = cls._conv(x, conv_weight(conv), pad, pad)
        return (y if conv.bias is None else y + conv.bias[:, None]), dy

    @classmethod
    def down(cls, x: Dual, conv: nn.Conv1d) -> Dual:
        length, _, batch = x[0].shape
        pairs = (x[0].reshape(length // 2, -1, batch), x[1].reshape(length // 2, -1, batch))
        return cls._conv(pairs, down_weight(conv), 1, 0)

    @classmethod
    def up(cls, x: Dual, conv: nn.ConvTranspose1d) -> Dual:
        length, _, batch = x[0].shape
        y, dy = cls._conv(x, up_weight(conv), 1, 1)
        return y.view(2 * length, -1, batch), dy.view(2 * length, -1, batch)

    @staticmethod
    def norm(x: Dual, norm: nn.GroupNorm) -> Dual:
        length, channels, batch = x[0].shape
        grouped = (length, norm.num_groups, -1, batch)
        shape = (1, norm.num_groups, -1, 1)
        y, dy = _DualNorm.apply(
            x[0].view(grouped), x[1].view(grouped), norm.weight.view(shape), norm.bias.view(shape)
        )
        return y.view(length, channels, batch), dy.view(length, channels, batch)

    @staticmethod
    def mish(x: Dual) -> Dual:
        return _DualMish.apply(*x)

    @staticmethod
    def linear(x: Dual, linear: nn.Linear) -> Dual:
        return torch.addmm(linear.bias[:, None], linear.weight, x[0]), linear.weight @ x[1]

    @classmethod
    def activate(cls, x: Dual, norm: nn.GroupNorm, film: tuple[Dual, Dual] | None) -> Dual:
        y, dy = cls.mish(cls.norm(x, norm))
        if film is None:
            return y, dy
        scale, shift = film
        tangent = torch.addcmul(torch.addcmul(dy + shift[1], dy, scale[0]), y, scale[1])
        return torch.addcmul(y + shift[0], y, scale[0]), tangent

    @staticmethod
    def add(x: Dual, y: Dual) -> Dual:
        return x[0] + y[0], x[1] + y[1]

    @staticmethod
    def join(x: Dual, y: Dual) -> Dual:
        return torch.cat((x[0], y[0]), 1), torch.cat((x[1], y[1]), 1)

    @staticmethod
    def split(x: Dual, sizes: list[int]) -> list[Dual]:
        return list(zip(x[0].split(sizes), x[1].split(sizes), strict=True))


class FusedOps(PlainOps):
    """`PlainOps` with compiled sweeps: float32, differentiable once."""

    @classmethod
    def activate(cls, x: Tensor, norm: nn.GroupNorm, film: tuple[Tensor, Tensor] | None) -> Tensor:
        scale, shift = film or (None, None)
        return Activate.apply(norm.num_groups, x, None, norm.weight, norm.bias, scale, shift, None, None)[0]


class FusedDualOps(DualOps):
    """`DualOps` with compiled sweeps: float32."""

    @classmethod
    def activate(cls, x: Dual, norm: nn.GroupNorm, film: tuple[Dual, Dual] | None) -> Dual:
        scale, shift = film or ((None, None), (None, None))
        modulation = (scale[0], shift[0], scale[1], shift[1])
        return Activate.apply(norm.num_groups, *x, norm.weight, norm.bias, *modulation)


class BatchMajorOps:
    """Tensors [B, C, T], conditioning [B, D]; stock operators."""

    @staticmethod
    def conv(x: Tensor, conv: nn.Conv1d) -> Tensor:
        return conv(x)

    @staticmethod
    def down(x: Tensor, conv: nn.Conv1d) -> Tensor:
        return conv(x)

    @staticmethod
    def up(x: Tensor, conv: nn.ConvTranspose1d) -> Tensor:
        return conv(x)

    @classmethod
    def activate(cls, x: Tensor, norm: nn.GroupNorm, film: tuple[Tensor, Tensor] | None) -> Tensor:
        h = cls.mish(norm(x))
        return h if film is None else h * (1 + film[0][:, :, None]) + film[1][:, :, None]

    @staticmethod
    def mish(x: Tensor) -> Tensor:
        # tanh(softplus(x)) through one exponential: onnxruntime runs this twice as fast as its Mish.
        e = torch.exp(x.clamp(max=20.0))
        numerator = e * (e + 2)
        return x * (numerator / (numerator + 2))

    @staticmethod
    def linear(x: Tensor, linear: nn.Linear) -> Tensor:
        return linear(x)

    @staticmethod
    def add(x: Tensor, y: Tensor) -> Tensor:
        return x + y

    @staticmethod
    def join(x: Tensor, y: Tensor) -> Tensor:
        return torch.cat((x, y), 1)

    @staticmethod
    def split(x: Tensor, sizes: list[int]) -> list[Tensor]:
        return list(x.split(sizes, 1))


def plain_ops(sample: Tensor) -> type[PlainOps]:
    """Fastest backend for a pass that is differentiated once."""
    return FusedOps if sample.dtype == torch.float32 and library() is not None else PlainOps


def dual_ops(sample: Tensor) -> type[DualOps]:
    """Fastest backend for a dual pass."""
    return FusedDualOps if sample.dtype == torch.float32 and library() is not None else DualOps
