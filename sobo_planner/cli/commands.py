"""The sub-commands of `sobo`, by name."""

from __future__ import annotations

from typing import Annotated

from tyro.conf import subcommand

from sobo_planner.cli.bench import Bench
from sobo_planner.cli.bench_worlds import BenchWorlds
from sobo_planner.cli.collect import Collect
from sobo_planner.cli.consensus import Consensus
from sobo_planner.cli.diffuse import Diffuse
from sobo_planner.cli.evaluate import Evaluate
from sobo_planner.cli.export import Export
from sobo_planner.cli.from_bag import FromBag
from sobo_planner.cli.imitate import Imitate
from sobo_planner.cli.interplay import Interplay
from sobo_planner.cli.learn_control import LearnControl
from sobo_planner.cli.plan import Plan
from sobo_planner.cli.train import Train
from sobo_planner.cli.view import View

AnyCommand = (
    Annotated[Collect, subcommand("collect")]
    | Annotated[FromBag, subcommand("from-bag")]
    | Annotated[Train, subcommand("train")]
    | Annotated[Interplay, subcommand("interplay")]
    | Annotated[Consensus, subcommand("consensus")]
    | Annotated[Export, subcommand("export")]
    | Annotated[Evaluate, subcommand("evaluate")]
    | Annotated[Plan, subcommand("plan")]
    | Annotated[View, subcommand("view")]
    | Annotated[Diffuse, subcommand("diffuse")]
    | Annotated[Imitate, subcommand("imitate")]
    | Annotated[LearnControl, subcommand("learn-control")]
    | Annotated[Bench, subcommand("bench")]
    | Annotated[BenchWorlds, subcommand("bench worlds")]
)
