"""Muon: gradient descent on weight matrices whose every step has singular values of about one.

K. Jordan and others, "Muon: an optimizer for hidden layers in neural networks" (2024). Steps are as long as AdamW's
(arXiv:2502.16982, section 2.2), so that its learning rates serve.

`torch.optim.Muon` takes matrices only and one after another, in bfloat16. For networks of many small matrices, and
convolutions, that takes three times as long on a CPU as the batches of equal shape here.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, cast

import torch
from torch import Tensor

# Of the quintic whose repetition brings singular values in 0.002 ... 1 to 0.68 ... 1.20.
COEFFICIENTS = (3.4445, -4.7750, 2.0315)
REPETITIONS = 5
# Root mean square of an entry of AdamW's steps, over the learning rate.
RMS = 0.2


def orthogonalise(matrices: Tensor) -> Tensor:
    """Brings singular values to about one by Newton-Schulz iterations and keeps singular vectors.

    The iterates are products of polynomials in the Gram matrix and the first one: only Gram matrices, which are small,
    are multiplied many times.

    Args:
        matrices: [n, rows, columns].

    Returns:
        The same shape; zero where all is zero.
    """
    wide = matrices.shape[1] <= matrices.shape[2]
    first = matrices / matrices.norm(dim=(1, 2), keepdim=True).clamp_min(1e-30)
    gram = first @ first.mT if wide else first.mT @ first
    product = factor = _factor(gram)
    for _ in range(REPETITIONS - 1):
        gram = gram @ factor @ factor
        factor = _factor(gram)
        product = product @ factor
    return product @ first if wide else first @ product


def _factor(gram: Tensor) -> Tensor:
    """What one iteration multiplies by, given the Gram matrix of its argument."""
    a, b, c = COEFFICIENTS
    out = torch.baddbmm(gram, gram, gram, beta=b, alpha=c)
    out.diagonal(dim1=1, dim2=2).add_(a)
    return out


class Muon(torch.optim.Optimizer):
    """Momentum, orthogonalised; for parameters of two dimensions and more, of which the first counts the rows.

    Args:
        parameters: Weights of linear layers and convolutions.
        lr: Learning rate, of AdamW's scale.
        momentum: Decay of the averaged gradient, with Nesterov's look ahead.
        weight_decay: Decoupled, as AdamW's.
    """

    def __init__(
        self, parameters: Iterable[Tensor], *, lr: float, momentum: float = 0.95, weight_decay: float = 0.0
    ) -> None:
        super().__init__(parameters, {"lr": lr, "momentum": momentum, "weight_decay": weight_decay})

    @torch.no_grad()
    def step(self, closure: Any = None) -> Any:
        """One step with the current gradients."""
        for group in self.param_groups:
            same: dict[tuple[int, int], list[Tensor]] = {}
            for parameter in group["params"]:
                if parameter.grad is not None:
                    same.setdefault((len(parameter), parameter[0].numel()), []).append(parameter)
            for shape, parameters in same.items():
                self._step(shape, parameters, group)

    def _step(self, shape: tuple[int, int], parameters: list[Tensor], group: dict[str, Any]) -> None:
        gradients = [cast("Tensor", parameter.grad) for parameter in parameters]
        averages = [self._average(parameter) for parameter in parameters]
        torch._foreach_lerp_(averages, gradients, 1 - group["momentum"])
        ahead = torch._foreach_lerp(gradients, averages, group["momentum"])
        directions = orthogonalise(torch.stack([each.reshape(shape) for each in ahead]))
        steps = [each.view_as(parameter) for each, parameter in zip(directions, parameters, strict=True)]
        torch._foreach_mul_(parameters, 1 - group["lr"] * group["weight_decay"])
        torch._foreach_add_(parameters, steps, alpha=-group["lr"] * RMS * max(shape) ** 0.5)

    def _average(self, parameter: Tensor) -> Tensor:
        state = self.state[parameter]
        if not state:
            state["momentum"] = torch.zeros_like(parameter)
        return state["momentum"]
