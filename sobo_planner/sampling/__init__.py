"""Planning by sampling: model-based diffusion (arXiv:2407.01573), MPPI, the cross-entropy method and CMA-ES."""

from sobo_planner.sampling.chain import Chain, ChainSettings
from sobo_planner.sampling.demonstrations import Demonstration
from sobo_planner.sampling.planner import Sampled, SamplingSettings, diffuse

__all__ = ["Chain", "ChainSettings", "Demonstration", "Sampled", "SamplingSettings", "diffuse"]
