"""The trained policy at run time: artifact, engines, sampler. Needs numpy and an engine, never torch."""

from __future__ import annotations

from sobo_planner.policy.artifact import Artifact, PolicySpec
from sobo_planner.policy.engines.base import ENGINES, PolicyEngine, select_engine
from sobo_planner.policy.normaliser import Normaliser
from sobo_planner.policy.policy import Policy
from sobo_planner.policy.sampler import Sampler

__all__ = [
    "ENGINES",
    "Artifact",
    "Normaliser",
    "Policy",
    "PolicyEngine",
    "PolicySpec",
    "Sampler",
    "select_engine",
]
