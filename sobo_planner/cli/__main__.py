"""Lets `python -m sobo_planner.cli` run the command line."""

from __future__ import annotations

import sys

from sobo_planner.cli.main import main

if __name__ == "__main__":
    sys.exit(main())
