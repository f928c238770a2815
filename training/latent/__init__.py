"""Model-based reinforcement learning with a learned latent model: TD-MPC, and DiffTORI's planner in its place."""
