"""Policies that agree with trajectory optimisation (arXiv:2209.09006), and what they are compared with."""
