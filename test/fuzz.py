"""What files may hold: any value, and contents that were damaged."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st

from sobo_planner.errors import SoboError

# Examples share the folder of their test, and each writes the file again.
fuzz = settings(max_examples=12, suppress_health_check=[HealthCheck.function_scoped_fixture])

numbers = st.sampled_from(
    [math.nan, math.inf, -math.inf, 0, -0.0, -1, 1, 1e-320, 1e308, -1e12, 10**12, 2**63, -(2**31), 10**400, 0.5, 7]
)
texts = st.sampled_from(["", "x", "1", "\0", "/dev/zero", "..", "urdf", "a\ud800", "\x1b[31m"]) | st.text(max_size=8)
scalars = st.none() | st.booleans() | st.integers() | st.floats() | numbers | texts
values = st.recursive(
    scalars,
    lambda inner: st.lists(inner, max_size=7) | st.dictionaries(texts | st.integers(), inner, max_size=3),
    max_leaves=8,
)


def damaged(content: bytes) -> st.SearchStrategy[bytes]:
    """The beginning of a file, or all of it with some bytes changed."""
    at = st.integers(0, len(content) - 1)
    changes = st.lists(st.tuples(at, st.integers(0, 255)), min_size=1, max_size=5)
    return at.map(lambda end: content[:end]) | changes.map(lambda pairs: _exchange(content, pairs))


def _exchange(content: bytes, pairs: list[tuple[int, int]]) -> bytes:
    out = bytearray(content)
    for at, byte in pairs:
        out[at] = byte
    return bytes(out)


def loads_or(error: type[SoboError], load: Callable[[], Any]) -> None:
    """Damaged contents may still be valid; if they are not, the error says so."""
    try:
        load()
    except error as refused:
        assert 0 < len(str(refused)) < 5000
