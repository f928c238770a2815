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

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from sobo_training.networks.activation import Activate
from sobo_training.networks.convolution import Convolve
from sobo_training.networks.functions import NORM_EPS, Conv, DualConv, DualMish, DualNorm
from sobo_training.networks.kernels import library


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
    def _conv(x: Tensor, weight: Tensor, left: int, right: int) -> Tensor:
        return Conv.apply(x, weight, left, right)

    @classmethod
    def conv(cls, x: Tensor, conv: nn.Conv1d) -> Tensor:
        pad = conv.kernel_size[0] // 2
        y = cls._conv(x, conv_weight(conv), pad, pad)
        return y if conv.bias is None else y + conv.bias[:, None]

    @classmethod
    def down(cls, x: Tensor, conv: nn.Conv1d) -> Tensor:
        pairs = x.reshape(x.shape[0] // 2, -1, x.shape[2])
        return cls._conv(pairs, down_weight(conv), 1, 0)

    @classmethod
    def up(cls, x: Tensor, conv: nn.ConvTranspose1d) -> Tensor:
        y = cls._conv(x, up_weight(conv), 1, 1)
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
    """Pairs (primal [T, C, B], tangent [T, C, D]), tangents of the first D samples; `activate` here needs D = B."""

    @staticmethod
    def _conv(x: Dual, weight: Tensor, left: int, right: int) -> Dual:
        return DualConv.apply(*x, weight, left, right)

    @classmethod
    def conv(cls, x: Dual, conv: nn.Conv1d) -> Dual:
        pad = conv.kernel_size[0] // 2
        y, dy = cls._conv(x, conv_weight(conv), pad, pad)
        return (y if conv.bias is None else y + conv.bias[:, None]), dy

    @classmethod
    def down(cls, x: Dual, conv: nn.Conv1d) -> Dual:
        length, _, batch = x[0].shape
        pairs = (x[0].reshape(length // 2, -1, batch), x[1].reshape(length // 2, -1, x[1].shape[2]))
        return cls._conv(pairs, down_weight(conv), 1, 0)

    @classmethod
    def up(cls, x: Dual, conv: nn.ConvTranspose1d) -> Dual:
        length, _, batch = x[0].shape
        y, dy = cls._conv(x, up_weight(conv), 1, 1)
        return y.view(2 * length, -1, batch), dy.view(2 * length, -1, dy.shape[2])

    @staticmethod
    def norm(x: Dual, norm: nn.GroupNorm) -> Dual:
        length, channels, batch = x[0].shape
        grouped = (length, norm.num_groups, -1, batch)
        shape = (1, norm.num_groups, -1, 1)
        y, dy = DualNorm.apply(x[0].view(grouped), x[1].view(grouped), norm.weight.view(shape), norm.bias.view(shape))
        return y.view(length, channels, batch), dy.view(length, channels, batch)

    @staticmethod
    def mish(x: Dual) -> Dual:
        n = x[1].shape[-1]
        y, dy = DualMish.apply(x[0][..., :n], x[1])
        return (y if n == x[0].shape[-1] else torch.cat((y, F.mish(x[0][..., n:])), -1)), dy

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
    """`PlainOps` with compiled kernels: float32, differentiable once."""

    @staticmethod
    def _conv(x: Tensor, weight: Tensor, left: int, right: int) -> Tensor:
        return Convolve.apply(x, None, weight, left, right)[0]

    @classmethod
    def activate(cls, x: Tensor, norm: nn.GroupNorm, film: tuple[Tensor, Tensor] | None) -> Tensor:
        scale, shift = film or (None, None)
        return Activate.apply(norm.num_groups, x, None, norm.weight, norm.bias, scale, shift, None, None)[0]


class FusedDualOps(DualOps):
    """`DualOps` with compiled kernels: float32."""

    @staticmethod
    def _conv(x: Dual, weight: Tensor, left: int, right: int) -> Dual:
        return Convolve.apply(*x, weight, left, right)

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
    return FusedOps if _has_kernels(sample) else PlainOps


def dual_ops(sample: Tensor) -> type[DualOps]:
    """Fastest backend for a dual pass."""
    return FusedDualOps if _has_kernels(sample) else DualOps


def _has_kernels(sample: Tensor) -> bool:
    return sample.device.type == "cpu" and sample.dtype == torch.float32 and library() is not None
