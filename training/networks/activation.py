"""Normalisation, Mish and FiLM in compiled sweeps (activation.c): float32, differentiable once."""

from __future__ import annotations

import ctypes
from typing import Any

import torch
from torch import Tensor

from sobo_training.networks.kernels import library

FORWARD_INPUTS = ("z", "dz", "gain", "bias", "scale", "shift", "dscale", "dshift")
# In the order of Args in activation.c.
FIELDS = (
    *FORWARD_INPUTS,
    *("stats", "out", "dout", "g_out", "g_dout"),
    *(f"g_{name}" for name in FORWARD_INPUTS),
)


class _Args(ctypes.Structure):
    _fields_ = [(name, ctypes.c_int) for name in "TCBGD"] + [(name, ctypes.c_void_p) for name in FIELDS]


def _call(name: str, shape: tuple[int, ...], groups: int, tensors: dict[str, Tensor | None]) -> None:
    tangent = tensors["dz"]
    args = _Args(*shape, groups, 0 if tangent is None else tangent.shape[-1])
    for key, tensor in tensors.items():
        if tensor is not None:
            setattr(args, key, tensor.data_ptr())
    getattr(library(), name)(ctypes.byref(args))


class Activate(torch.autograd.Function):
    """film(mish(group_norm(z))) and its tangent; differentiable once, float32 only.

    Inputs: groups, z [T, C, B], dz [T, C, D] (the first D <= B samples') or None, gain [C], bias [C], and scale,
    shift [C, B], dscale, dshift [C, D] or None. Returns the result and its tangent (None without dz).
    """

    @staticmethod
    def forward(ctx: Any, groups: int, *inputs: Tensor | None) -> tuple[Tensor, Tensor | None]:
        tensors = tuple(None if x is None else x.contiguous() for x in inputs)
        z, dz = tensors[:2]
        assert z is not None and z.dtype == torch.float32
        out, dout = torch.empty_like(z), None if dz is None else torch.empty_like(dz)
        stats = z.new_empty(4, groups, z.shape[2])
        named = dict(zip(FORWARD_INPUTS, tensors, strict=True))
        _call("activate_forward", tuple(z.shape), groups, {**named, "stats": stats, "out": out, "dout": dout})
        ctx.groups = groups
        ctx.save_for_backward(*tensors, stats)
        return out, dout

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor | None, ...]:
        *tensors, stats = ctx.saved_tensors
        named = dict(zip(FORWARD_INPUTS, tensors, strict=True))
        gradients = {f"g_{key}": None if x is None else torch.empty_like(x) for key, x in named.items()}
        gradients["g_gain"] = torch.zeros_like(named["gain"])
        gradients["g_bias"] = torch.zeros_like(named["bias"])
        g_out, g_dout = (None if g is None else g.contiguous() for g in grads)
        outputs = {"stats": stats, "g_out": g_out, "g_dout": g_dout}
        _call("activate_backward", tuple(named["z"].shape), ctx.groups, {**named, **outputs, **gradients})
        return None, *gradients.values()
