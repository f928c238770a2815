"""Data collection and Sobolev training of the diffusion policies that sobo_planner runs."""
