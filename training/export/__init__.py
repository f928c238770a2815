"""Policy artifacts made from training runs."""
