"""Are bugs noticed? Edits one place of a file at a time and runs the tests that execute it: some test should fail.

    python benchmarks/mutants                                  # all files: about half an hour on two processors
    python benchmarks/mutants --files planning --sample 50     # a quick look at some
    python benchmarks/mutants --survivors                      # what survived last time, after tests were written

Tests run in copies of the tree, one for each processor. An interrupted run goes on where it was, as long as sources and
tests stay the same. `table.py` says which tests judge which file, `equivalent.txt` which edits no test can notice.

Why not a tool from PyPI (looked at in November 2026): mutmut 3.8 has one selection of tests for everything and removes
neither statements nor branches; cosmic-ray 8.7 runs one command for all mutants, with seconds of imports each; mutatest
3.1 was given up with Python 3.8. None selects tests by the lines that they execute and forks from a process that has
done the imports, which is what makes 2500 mutants a matter of minutes.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import sys
from collections import Counter
from dataclasses import asdict
from pathlib import Path

from bugs import BUGS, bug_of
from campaign import Outcome, Results, attempt, measure, shared, signature
from copies import copies
from edits import mutants
from source import Mutant
from table import equivalents, targets, tests_of
from tqdm import tqdm

ROOT = Path(__file__).resolve().parents[2]
RESULTS = ROOT / "build" / "mutants.jsonl"
ENOUGH = 95.0  # [%] caught, in each file


def arguments(words: list[str] | None = None) -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(prog="python benchmarks/mutants", description=__doc__.split("\n")[0])
    parser.add_argument("--files", nargs="*", default=[], help="only files whose path contains or matches one of these")
    parser.add_argument("--sample", type=int, help="only so many mutants, drawn at random")
    parser.add_argument("--seed", type=int, default=0, help="of the sample")
    parser.add_argument("--survivors", action="store_true", help="only what survived when it was tried last")
    parser.add_argument("--bugs", action="store_true", help="only the bugs of a review, in bugs.py")
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 1, help="mutants at a time")
    parser.add_argument(
        "--results", type=Path, default=ROOT / "build" / "mutants.jsonl", help="outcomes, kept and used again"
    )
    parser.add_argument("--json", type=Path, help="write scores and survivors there too")
    return parser.parse_args(words)


def chosen(options: argparse.Namespace, sources: dict[str, str], results: Results) -> list[Mutant]:
    """The mutants to try."""
    bugs = [bug_of(bug, sources[bug.path]) for bug in BUGS if bug.path in sources]
    if options.bugs:
        return bugs
    left_out = equivalents(ROOT)
    mutated = targets(ROOT, options.files)
    found = [each for path in mutated for each in mutants(path, sources[path])]
    found = [each for each in found if each.identity not in left_out]
    if options.survivors:
        last = {name for name, outcome in results.by_identity.items() if not outcome.caught}
        found, bugs = [each for each in found if each.identity in last], []
    if options.sample is not None and options.sample < len(found):
        found = sorted(
            random.Random(options.seed).sample(found, options.sample), key=lambda each: (each.path, each.line)
        )
    return bugs + found


def run(options: argparse.Namespace) -> list[Outcome]:
    """Tries the mutants that are asked for."""
    paths = targets(ROOT, options.files)
    if not paths:
        raise SystemExit(f"error: none of the files to mutate matches {options.files}")
    if options.bugs or not (options.files or options.survivors):
        paths += [bug.path for bug in BUGS if bug.path not in paths]
    sources = {path: (ROOT / path).read_text() for path in paths}
    judges = {path: tests_of(ROOT, path) for path in sources}
    results, outcomes = Results(options.results), []
    left: list[tuple[Mutant, str]] = []
    stamp = signature(ROOT)
    for mutant in chosen(options, sources, results):
        key = f"{stamp[:20]} {mutant.identity} {mutant.line} {mutant.start} {mutant.text}"
        if key in results.by_key:
            outcomes.append(results.by_key[key])
        else:
            left.append((mutant, key))
    if not left:
        return outcomes
    files = sorted({file for mutant, _ in left for file in judges[mutant.path]})
    with copies(ROOT, min(options.jobs, max(len(left), 1))) as made:
        with tqdm(total=len(files), desc="tests without edits", unit="file", disable=None) as bar:
            reach = measure(made, files, sorted({mutant.path for mutant, _ in left}), lambda _: bar.update())
        for name in reach.failed:
            print(f"fails without any edit, and judges nothing: {name}", file=sys.stderr)

        def one(copy: object, item: tuple[Mutant, str]) -> Outcome:
            mutant, key = item
            tests = reach.tests(mutant, judges[mutant.path])
            last = results.by_identity.get(mutant.identity)
            if last is not None and last.by in tests:  # what caught it last time first
                tests.sort(key=lambda name: name != last.by)
            return attempt(copy, mutant, sources[mutant.path], tests, reach, key)

        with tqdm(total=len(left), desc="mutants", unit="mutant", disable=None) as bar:
            for outcome in shared(made, left, one):
                results.add(outcome)
                outcomes.append(outcome)
                bar.update()
    return outcomes


def report(outcomes: list[Outcome]) -> dict:
    """Scores by file and what survived, for reading and as JSON."""
    total, caught = Counter(each.path for each in outcomes), Counter(each.path for each in outcomes if each.caught)
    scores = {path: 100.0 * caught[path] / total[path] for path in sorted(total)}
    missed = sorted((each for each in outcomes if not each.caught), key=lambda each: (each.path, each.line))
    for each in missed:
        print(f"\n{each.path}:{each.line}  {each.operator}, {each.verdict} ({each.tests} tests)")
        print(f"  - {each.before}\n  + {each.after}")
    print(f"\n{'file':52}{'mutants':>9}{'caught':>9}{'score':>9}")
    for path, score in scores.items():
        print(f"{path:52}{total[path]:9}{caught[path]:9}{score:8.1f}%")
    overall = 100.0 * sum(caught.values()) / max(len(outcomes), 1)
    print(f"{'all':52}{len(outcomes):9}{sum(caught.values()):9}{overall:8.1f}%")
    return {"scores": scores, "score": overall, "mutants": total, "survivors": [asdict(each) for each in missed]}


def main() -> int:
    """Runs the command. Returns 1 where a file has too low a score."""
    options = arguments()
    found = report(run(options))
    if options.json is not None:
        options.json.parent.mkdir(parents=True, exist_ok=True)
        options.json.write_text(json.dumps(found, indent=1) + "\n")
    return int(any(score < ENOUGH for score in found["scores"].values()))


if __name__ == "__main__":
    raise SystemExit(main())
