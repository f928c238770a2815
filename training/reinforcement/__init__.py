"""Reinforcement learning on the project's tasks: an environment for gymnasium, and references that learn in it."""
