"""Evaluation of policies on held-out instances: attempts, statistics, report."""
