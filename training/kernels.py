"""Compiled kernels (kernels.c, convolution.c): built once per machine, with a fall-back to PyTorch.

Needs a C compiler (`cc`, or what $CC names) at training time; without one, training takes two and a half times as long.
Set SOBO_KERNELS=0 to do without.
"""

from __future__ import annotations

import ctypes
import functools
import hashlib
import logging
import os
import platform
import shutil
import subprocess
import tempfile
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

logger = logging.getLogger(__name__)

SOURCES = [Path(__file__).with_name(name) for name in ("kernels.c", "convolution.c")]
# Not -ffast-math, which may reorder the steps of the exponential; these only drop errno and traps.
MATH_FLAGS = ("-ffp-contract=fast", "-fno-math-errno", "-fno-trapping-math", "-fopenmp-simd")
FLAGS = ("-O3", "-march=native", *MATH_FLAGS, "-shared", "-fPIC")
FORWARD_INPUTS = ("z", "dz", "gain", "bias", "scale", "shift", "dscale", "dshift")
# In the order of Args in kernels.c.
FIELDS = (
    *FORWARD_INPUTS,
    *("stats", "out", "dout", "g_out", "g_dout"),
    *(f"g_{name}" for name in FORWARD_INPUTS),
)


class _Args(ctypes.Structure):
    _fields_ = [(name, ctypes.c_int) for name in "TCBGD"] + [(name, ctypes.c_void_p) for name in FIELDS]


@functools.cache
def library() -> ctypes.CDLL | None:
    """The compiled kernels, or None where they cannot be built (logged once)."""
    if os.environ.get("SOBO_KERNELS") == "0":
        return None
    try:
        return ctypes.CDLL(str(_build()))
    except (OSError, subprocess.CalledProcessError) as error:
        detail = getattr(error, "stderr", "") or error
        logger.warning("training without compiled kernels, which takes two and a half times as long: %s", detail)
        return None


def _build() -> Path:
    """Compile into the user's cache, under a name that depends on source, compiler, flags and processor."""
    compiler = shutil.which(os.environ.get("CC", "cc"))
    if compiler is None:
        raise OSError("no C compiler found (install gcc, or name one in $CC)")
    version = subprocess.run([compiler, "--version"], capture_output=True, text=True, check=True).stdout
    identity = "\n".join((*(source.read_text() for source in SOURCES), version, *FLAGS, _processor()))
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "sobo_planner"
    target = cache / f"kernels-{hashlib.sha256(identity.encode()).hexdigest()[:16]}.so"
    if not target.exists():
        cache.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=cache) as folder:
            output = Path(folder) / target.name
            command = [compiler, *FLAGS, *map(str, SOURCES), "-o", str(output), "-lm"]
            subprocess.run(command, capture_output=True, text=True, check=True)
            os.replace(output, target)
    return target


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.machine()
    return "\n".join(sorted({line for line in lines if line.startswith(("model name", "flags", "Features"))}))


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
