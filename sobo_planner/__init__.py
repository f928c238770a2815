"""Robot motion planning that joins a learned diffusion policy and constrained trajectory optimization."""

__version__ = "0.1.0"
