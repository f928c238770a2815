"""MoveIt's allowed collision matrices."""

from __future__ import annotations

from sobo_planner.world.entries import Entry, flag
from sobo_planner.world.values import shown
from sobo_planner.world.world import allowed_pair


def allowed_of(matrix: Entry) -> frozenset[tuple[str, str]]:
    """Pairs that an allowed collision matrix lets touch."""
    values = matrix.mapping(("entry_names", "entry_values", "default_entry_names", "default_entry_values"))
    defaults = values.get("default_entry_values", Entry(None)).items()
    if any(flag(each) for each in defaults):
        values["default_entry_values"].fail("names that may touch everything are not supported; give pairs instead")
    names = [each.value for each in values.get("entry_names", Entry(None)).items()]
    rows = values.get("entry_values", Entry(None)).items()
    if len(rows) != len(names):
        matrix.fail(f"entry_values must have a row for each of the {len(names)} names, got {len(rows)}")
    table = [_row(row, len(names)) for row in rows]
    pairs = []
    for i, first in enumerate(names):
        for j, second in enumerate(names[:i]):
            if table[i][j] != table[j][i]:
                rows[i].fail(f"the matrix must be symmetric; {shown(first)} and {shown(second)} differ")
            if table[i][j]:
                pairs.append((first, second))
    with matrix.located():
        return frozenset(allowed_pair(pair) for pair in pairs)


def _row(row: Entry, count: int) -> list[bool]:
    inside = row.mapping(("enabled",), ("enabled",))["enabled"] if isinstance(row.value, dict) else row
    flags = [flag(each) for each in inside.items()]
    if len(flags) != count:
        row.fail(f"a row of the matrix must have {count} entries, got {len(flags)}")
    return flags
