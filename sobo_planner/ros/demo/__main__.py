"""Runs the demo: `python -m sobo_planner.ros.demo --goals 10 --seed 0 --out out/demo`."""

from __future__ import annotations

from sobo_planner.terminal import run_command


def main(arguments: list[str] | None = None) -> int:
    """Command line. Returns the exit status, as `run_command` does."""

    def work() -> int:
        from sobo_planner.ros.demo.command import command

        return command(arguments)

    return run_command("demo", work, last=arguments is None)


if __name__ == "__main__":
    raise SystemExit(main())
