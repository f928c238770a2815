"""Recorded bags become data: motions, plans and goals that were logged, solved with the present task."""
