"""Differentiable functions on activations [T, C, B]: convolution, normalisation, Mish, and their tangents.

Functions named `Dual...` take and return a primal and its tangent. Their backward pass is written by hand and
cannot itself be differentiated; `Conv` can, any number of times.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

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


def adjoint(weight: Tensor, taps: int) -> Tensor:
    """Weight of the convolution that maps output gradients to input gradients."""
    out_channels = weight.shape[0]
    flipped = weight.view(out_channels, taps, -1).flip(1)
    return flipped.permute(2, 1, 0).reshape(-1, taps * out_channels)


def _correlate(x: Tensor, weight: Tensor, left: int, right: int) -> Tensor:
    view = windows(x, left, right)
    return torch.bmm(weight.expand(view.shape[0], *weight.shape), view)


class Conv(torch.autograd.Function):
    """Convolution over time. Its gradients are again `Conv` and `ConvWeightGrad`, so it has every
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
        grad_x = Conv.apply(grad, adjoint(weight, taps), right, left) if need_x else None
        grad_weight = ConvWeightGrad.apply(x, grad, left, right) if need_weight else None
        return grad_x, grad_weight, None, None


class ConvWeightGrad(torch.autograd.Function):
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
        grad_x = Conv.apply(grad, adjoint(direction, taps), right, left)
        return grad_x, Conv.apply(x, direction, left, right), None, None


class DualConv(torch.autograd.Function):
    """Convolution of a primal and its tangent; the weight gradient of both is accumulated in one buffer."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, dx: Tensor, weight: Tensor, left: int, right: int) -> tuple[Tensor, Tensor]:
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
            back = adjoint(weight, left + 1 + right)
            grad_x = _correlate(grad, back, right, left)
            grad_dx = _correlate(grad_tangent, back, right, left)
        grad_weight = torch.addbmm(x.new_zeros(()), grad, windows(x, left, right).transpose(1, 2), beta=0)
        grad_weight = torch.addbmm(grad_weight, grad_tangent, windows(dx, left, right).transpose(1, 2))
        return grad_x, grad_dx, grad_weight, None, None


class DualMish(torch.autograd.Function):
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


class DualNorm(torch.autograd.Function):
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
