"""Convolutions of compiled kernels (convolution.c): float32, differentiable once."""

from __future__ import annotations

import ctypes
from typing import Any

import torch
from torch import Tensor

from sobo_training.networks.functions import adjoint
from sobo_training.networks.kernels import library

SIZES = ("T", "C", "O", "B", "D", "taps", "left")
POINTERS = ("x", "dx", "w", "out", "dout", "g", "dg", "g_w", "scratch")


class _Args(ctypes.Structure):
    """Args of convolution.c."""

    _fields_ = [(name, ctypes.c_int) for name in SIZES] + [(name, ctypes.c_void_p) for name in POINTERS]


def _call(name: str, left: int, outputs: int, tensors: dict[str, Tensor | None]) -> None:
    x, dx = tensors["x"], tensors["dx"]
    assert x is not None and x.dtype == torch.float32
    T, C, B = x.shape
    weight = tensors["w"] if tensors.get("w") is not None else tensors["g_w"]
    assert weight is not None
    args = _Args(T, C, outputs, B, 0 if dx is None else dx.shape[2], weight.shape[1] // C, left)
    native = library()
    assert native is not None
    tensors["scratch"] = x.new_empty(native.convolution_scratch(ctypes.byref(args)))
    for key, tensor in tensors.items():
        if tensor is not None:
            setattr(args, key, tensor.data_ptr())
    getattr(native, name)(ctypes.byref(args))


def correlate(x: Tensor, dx: Tensor | None, weight: Tensor, left: int) -> tuple[Tensor, Tensor | None]:
    """out[t] = sum over taps of weight x[t + tap - left], zeros around x; for a tangent, too.

    Args:
        x: [T, C, B], contiguous.
        dx: [T, C, D] or None, contiguous.
        weight: [O, taps * C], contiguous.
        left: Taps before the current row.
    """
    out = x.new_empty(x.shape[0], len(weight), x.shape[2])
    dout = None if dx is None else x.new_empty(x.shape[0], len(weight), dx.shape[2])
    _call("convolution_forward", left, len(weight), {"x": x, "dx": dx, "w": weight, "out": out, "dout": dout})
    return out, dout


class Convolve(torch.autograd.Function):
    """Convolution of x [T, C, B] and, unless it is None, its tangent [T, C, D] with a weight [O, taps * C]."""

    @staticmethod
    def forward(
        ctx: Any, x: Tensor, dx: Tensor | None, weight: Tensor, left: int, right: int
    ) -> tuple[Tensor, Tensor | None]:
        x, weight = x.contiguous(), weight.contiguous()
        dx = None if dx is None else dx.contiguous()
        ctx.save_for_backward(x, dx, weight)
        ctx.padding = (left, right)
        return correlate(x, dx, weight, left)

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx: Any, *grads: Tensor | None) -> tuple[Tensor | None, ...]:
        x, dx, weight = ctx.saved_tensors
        left, right = ctx.padding
        g, dg = (None if each is None else each.contiguous() for each in grads)
        assert g is not None
        g_x = g_dx = None
        if ctx.needs_input_grad[0] or ctx.needs_input_grad[1]:
            g_x, g_dx = correlate(g, dg, adjoint(weight, left + 1 + right).contiguous(), right)
        g_weight = torch.empty_like(weight)
        _call("convolution_gradient", left, len(weight), {"x": x, "dx": dx, "g": g, "dg": dg, "g_w": g_weight})
        return g_x, g_dx, g_weight, None, None
