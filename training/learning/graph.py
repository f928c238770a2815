"""Loss and gradient of a step as a CUDA graph.

The network is small: launching its kernels one after another takes a GPU's host several times as long as they run. A
graph launches them all at once.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn

from sobo_training.learning.losses import Batch, Draw

Terms = Callable[[Batch, Draw], tuple[Tensor, Tensor, Tensor | None]]

#: Passes before the recording, which libraries use to choose kernels and to allocate.
WARM_UP = 3


class GradientGraph:
    """Recorded computation of a loss and its gradients.

    Args:
        net: Network on a GPU; its gradients are overwritten by each replay.
        terms: Computes the loss, and its two terms.
        batch: A batch; later ones must be as large.
        sample: Its random numbers.
    """

    def __init__(self, net: nn.Module, terms: Terms, batch: Batch, sample: Draw) -> None:
        self.batch = Batch(**{name: value.clone() for name, value in vars(batch).items()})
        self.sample = Draw(**{name: value.clone() for name, value in vars(sample).items()})
        aside = torch.cuda.Stream()
        aside.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(aside):
            for _ in range(WARM_UP):
                net.zero_grad(set_to_none=True)
                terms(self.batch, self.sample)[0].backward()
        torch.cuda.current_stream().wait_stream(aside)
        net.zero_grad(set_to_none=True)  # so that the graph's own memory receives the gradients
        self.graph = torch.cuda.CUDAGraph()
        with torch.cuda.graph(self.graph):
            self.result = terms(self.batch, self.sample)
            self.result[0].backward()

    def __call__(self, batch: Batch, sample: Draw) -> tuple[Tensor, Tensor, Tensor | None]:
        """The loss and its terms, overwritten by the next call; the gradients are left in the parameters."""
        for mine, new in ((self.batch, batch), (self.sample, sample)):
            for name, value in vars(new).items():
                getattr(mine, name).copy_(value)
        self.graph.replay()
        return self.result
