"""Costs from demonstrations: what somebody who moves like this must have minimised."""
