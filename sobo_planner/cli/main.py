"""The command `sobo`. Only what catches Ctrl-C is imported before it does; see `sobo_planner.terminal`."""

from __future__ import annotations

import os
import sys

from sobo_planner.terminal import run_command

TYPE_CHECKING = False  # see `sobo_planner.terminal`
if TYPE_CHECKING:
    from collections.abc import Sequence

    from sobo_planner.cli.shared import Command


def expand_overrides(arguments: Sequence[str]) -> list[str]:
    """Let `--set a=1 b=2` mean `--set a=1 --set b=2`."""
    expanded: list[str] = []
    inside = False
    for argument in arguments:
        if inside and expanded[-1] != "--set" and "=" in argument and not argument.startswith("-"):
            expanded.append("--set")
        elif inside and expanded[-1] != "--set":
            inside = False
        inside = inside or argument == "--set"
        expanded.append(argument)
    return expanded


def join_command(arguments: Sequence[str]) -> list[str]:
    """Let the two words `bench worlds` be one sub-command."""
    words = list(arguments)
    return [" ".join(words[:2]), *words[2:]] if words[:2] == ["bench", "worlds"] else words


def expand_home(argument: str) -> str:
    """Replaces a `~` at the beginning of a value; shells leave that in `--out=~/plan.npz` alone."""
    option, equals, value = argument.rpartition("=") if argument.startswith("--") else ("", "", argument)
    return option + equals + os.path.expanduser(value)


def parse(arguments: Sequence[str]) -> Command:
    """The command that a command line (without the program's name) asks for. Exits with status 2 if it is none."""
    import tyro

    from sobo_planner.cli.commands import AnyCommand

    return tyro.cli(
        AnyCommand,
        prog="sobo",
        description="Plan robot motions with a learned diffusion policy and ProxDDP, and train the policy.",
        args=expand_overrides([expand_home(argument) for argument in join_command(arguments)]),
    )


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one sub-command.

    Args:
        arguments: Command line without the program's name; `sys.argv` if None.

    Returns:
        Exit status: 0, what the sub-command's help says, or as of `run_command`: 2 for an error (its reason on stderr),
        130 after Ctrl-C, 141 when the reader of stdout is gone.
    """
    given = sys.argv[1:] if arguments is None else arguments
    return run_command("sobo", lambda: _run(given), debug="--debug" in given, last=arguments is None)


def _run(arguments: Sequence[str]) -> int:
    import logging

    command = parse(arguments)
    logging.basicConfig(format="%(levelname)s %(name)s: %(message)s", stream=sys.stderr)
    for package in ("sobo_planner", "sobo_training"):  # of other packages, warnings and errors only
        logging.getLogger(package).setLevel(logging.INFO)
    return command.run()


if __name__ == "__main__":
    sys.exit(main())
