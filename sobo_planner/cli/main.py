"""The command `sobo`."""

from __future__ import annotations

import logging
import sys
import traceback
from collections.abc import Sequence
from typing import Annotated

import tyro

from sobo_planner.cli import commands
from sobo_planner.errors import SoboError

#: Exit code for errors that the message explains; argument errors end with it too.
EXIT_ERROR = 2
#: Exit code after Ctrl-C, as shells have it.
EXIT_INTERRUPTED = 130

AnyCommand = (
    Annotated[commands.Collect, tyro.conf.subcommand("collect")]
    | Annotated[commands.Train, tyro.conf.subcommand("train")]
    | Annotated[commands.Interplay, tyro.conf.subcommand("interplay")]
    | Annotated[commands.Export, tyro.conf.subcommand("export")]
    | Annotated[commands.Evaluate, tyro.conf.subcommand("evaluate")]
    | Annotated[commands.Plan, tyro.conf.subcommand("plan")]
    | Annotated[commands.Bench, tyro.conf.subcommand("bench")]
)


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


def parse(arguments: Sequence[str]) -> commands.Command:
    """The command that a command line (without the program's name) asks for. Exits with status 2 if it is none."""
    return tyro.cli(
        AnyCommand,
        prog="sobo",
        description="Plan robot motions with a learned diffusion policy and ProxDDP, and train the policy.",
        args=expand_overrides(arguments),
    )


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one sub-command.

    Args:
        arguments: Command line without the program's name; `sys.argv` if None.

    Returns:
        Exit code: 0, 2 for an error (its reason on stderr), 130 after Ctrl-C.
    """
    command = parse(sys.argv[1:] if arguments is None else arguments)
    logging.basicConfig(format="%(levelname)s %(name)s: %(message)s", stream=sys.stderr)
    for package in ("sobo_planner", "sobo_training"):  # other packages speak up from warnings on
        logging.getLogger(package).setLevel(logging.INFO)
    try:
        return command.run()
    except SoboError as error:
        if command.debug:
            traceback.print_exc()
        print(f"sobo: {error}", file=sys.stderr)
        return EXIT_ERROR
    except KeyboardInterrupt:
        print("sobo: interrupted", file=sys.stderr)
        return EXIT_INTERRUPTED


if __name__ == "__main__":
    sys.exit(main())
