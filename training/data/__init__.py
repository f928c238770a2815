"""Datasets: solving instances, and storing and reading their solutions."""
