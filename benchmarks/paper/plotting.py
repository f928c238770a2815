"""Figures that are drawn into files: without pyplot, so that no display and no backend is asked for."""

from __future__ import annotations

from pathlib import Path

from matplotlib.figure import Figure

__all__ = ["Figure", "save"]


def save(figure: Figure, path: Path) -> None:
    """Writes a PNG file."""
    figure.set_layout_engine("constrained")
    figure.savefig(path, dpi=120)
