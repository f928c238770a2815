"""Checks of the documents, as functions of their text: each returns what is wrong, in words."""

from __future__ import annotations

import ast
import re
import shlex
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[1]
FILES = (ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted(ROOT.glob("docs/*.md")))
DOCUMENTS = {path.relative_to(ROOT).as_posix(): path.read_text() for path in FILES}
every_document = pytest.mark.parametrize("name", DOCUMENTS)

Row = dict[str, str]
NUMBER = r"-?\d+(?:\.\d+)?(?:e[+-]?\d+)?"


def blocks(text: str, *languages: str) -> list[str]:
    """Fenced blocks of some languages."""
    found = re.findall(r"^```(\w+)\n(.*?)^```", text, flags=re.M | re.S)
    return [body for language, body in found if language in languages]


def commands(text: str) -> list[list[str]]:
    """Commands of the shell blocks, in words: comments left out, continued lines joined, `a && b` taken apart."""
    found: list[list[str]] = []
    for block in blocks(text, "sh", "bash", "console"):
        for line in block.replace("\\\n", " ").splitlines():
            words = shlex.split(line.removeprefix("$ "), comments=True)
            while "&&" in words:
                found.append(words[: words.index("&&")])
                words = words[words.index("&&") + 1 :]
            found.append(words)
    return [words for words in found if words]


def inline_commands(text: str, program: str) -> list[list[str]]:
    """Commands of one program that the running text names in backticks."""
    text = re.sub(r"^```.*?^```", "", text, flags=re.M | re.S)
    return [span.split() for span in re.findall(r"`([^`\n]+)`", text) if span.split()[:1] == [program]]


def cells(line: str) -> list[str]:
    return [cell.strip().replace("\\|", "|") for cell in re.split(r"(?<!\\)\|", line.strip().strip("|"))]


def tables(text: str) -> list[list[Row]]:
    """Tables as rows by the names of their columns; columns without a name are called by their number."""
    found = []
    for block in re.findall(r"(?:^\|.*\n)+", text + "\n", flags=re.M):
        lines = block.splitlines()
        if len(lines) > 2:
            names = [name or str(i) for i, name in enumerate(cells(lines[0]))]
            found.append([dict(zip(names, cells(line), strict=True)) for line in lines[2:]])
    return found


def tables_with(text: str, *columns: str) -> list[list[Row]]:
    """Tables that have these columns."""
    return [table for table in tables(text) if set(columns) <= set(table[0])]


def quoted(text: str) -> list[str]:
    """Text in backticks."""
    return re.findall(r"`([^`]+)`", text)


def check_parameters(rows: Sequence[Row], specs: Iterable[Any]) -> list[str]:
    """Compares a table with `ParameterSpec`s: names, defaults and, where it has such columns, range and `run time`."""
    known = {spec.name: spec for spec in specs}
    wrong = [f"{name} is not in the table" for name in known if not any(_name(row) == name for row in rows)]
    for row in rows:
        spec = known.get(_name(row))
        if spec is None:
            wrong.append(f"{_name(row)} is no parameter")
            continue
        if not says_default(row["default"], spec.default):
            wrong.append(f"{spec.name}: the default is {spec.default!r}, not {row['default']!r}")
        if "range" in row and not says_range(row["range"], spec.bounds):
            wrong.append(f"{spec.name}: the range is {spec.bounds}, not {row['range']!r}")
        if "run time" in row and row["run time"] != ("no" if spec.read_only else "yes"):
            wrong.append(f"{spec.name}: read_only is {spec.read_only}, but run time says {row['run time']!r}")
        if not list(row.values())[-1] or not spec.description:
            wrong.append(f"{spec.name} is not described")
    return wrong


def _name(row: Row) -> str:
    return row["parameter"].strip("`")


def says_default(cell: str, default: Any) -> bool:
    """Whether a cell means a default. Units may follow numbers; words that say where the default is from are taken."""
    plain = cell.replace("`", "")
    if isinstance(default, bool):
        return plain == str(default).lower()
    if isinstance(default, str):
        return plain == (default or "empty") or (default == "" and plain == "")
    numbers = [float(number) for number in re.findall(NUMBER, plain)]
    if isinstance(default, list):
        return numbers == default or not numbers and len(plain.split()) > 1
    return len(numbers) == 1 and numbers[0] == default


def says_range(cell: str, bounds: tuple[float, float] | None) -> bool:
    """Whether a cell such as `0.01-60` means these bounds."""
    if bounds is None:
        return cell == ""
    match = re.fullmatch(rf"({NUMBER})\s*(?:-|–|to|\.\.\.)\s*({NUMBER})", cell.replace("`", ""))
    return match is not None and (float(match[1]), float(match[2])) == tuple(bounds)


def check_names(rows: Sequence[Row], column: str, names: Iterable[str]) -> list[str]:
    """Compares a table with the names of an enumeration; every cell must say something."""
    listed = [name for row in rows for name in quoted(row[column])]
    known = list(names)
    wrong = [f"{name} is not in the table" for name in known if name not in listed]
    wrong += [f"{name} does not exist" for name in listed if name not in known]
    wrong += [f"{name} is listed twice" for name in set(listed) if listed.count(name) > 1]
    return wrong + [f"{row[column]}: {key} is empty" for row in rows for key, cell in row.items() if not cell]


def check_texts(rows: Sequence[Row], column: str, texts: Mapping[str, Sequence[str]]) -> list[str]:
    """Compares a table's other cells with what the code says about each name, in the order of the columns."""
    found = {row[column].strip("`"): [cell for key, cell in row.items() if key != column] for row in rows}
    return [
        f"{name}: the code says {list(texts[name])}, the table {found.get(name)}"
        for name in texts
        if list(texts[name]) != found.get(name)
    ]


def interfaces(modules: Mapping[str, str]) -> dict[str, set[str]]:
    """Names of topics and services by what creates them: publisher, subscription, service.

    Args:
        modules: Sources by the names of their modules; a name of a topic may be a constant of any of them.
    """
    trees = {name: ast.parse(source) for name, source in modules.items()}
    constants = {name: _constants(tree) for name, tree in trees.items()}
    found: dict[str, set[str]] = {"publisher": set(), "subscription": set(), "service": set()}
    for module, tree in trees.items():
        for node in ast.walk(tree):
            kind = getattr(getattr(node, "func", None), "attr", "").rpartition("create_")[2].removeprefix("lifecycle_")
            if isinstance(node, ast.Call) and kind in found and len(node.args) > 1:
                value = _value(node.args[1], module, constants)
                found[kind] |= {value} if value else set()
    return found


def _constants(tree: ast.Module) -> dict[str, Any]:
    return {
        target.id: node.value.value
        for node in tree.body
        if isinstance(node, ast.Assign) and isinstance(node.value, ast.Constant)
        for target in node.targets
        if isinstance(target, ast.Name)
    }


def _value(node: ast.expr, module: str, constants: Mapping[str, Mapping[str, Any]]) -> str | None:
    """A text, or the constant that `NAME` or `module.NAME` is."""
    if isinstance(node, ast.Constant):
        return node.value
    if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name):
        return constants.get(node.value.id, {}).get(node.attr)
    return constants[module].get(getattr(node, "id", ""))


def check_topics(rows: Sequence[Row], found: Mapping[str, set[str]]) -> list[str]:
    """Compares a table of topics, whose cells begin with `in`, `out` or `service`, with what the code creates."""
    kinds = {"in": "subscription", "out": "publisher", "service": "service"}
    wrong = []
    for row in rows:
        text = " ".join(row.values())
        kind, name = kinds.get(text.split()[0]), quoted(text)[0]
        if kind is None:
            wrong.append(f"{text!r} is neither in, out nor service")
        elif name not in found[kind]:
            wrong.append(f"the code creates no {kind} {name!r}")
    return wrong


def check_links(text: str, folder: Path) -> list[str]:
    """Relative links that lead nowhere."""
    targets = [target.split("#")[0] for target in re.findall(r"\]\(([^)\s]+)\)", text) if "://" not in target]
    return [f"{target} does not exist" for target in targets if target and not (folder / target).exists()]


def check_paths(text: str, root: Path, tops: Iterable[str], package: Path | None = None) -> list[str]:
    """Paths of the repository in backticks, `*` allowed, that do not exist; and source files that there are none of.

    Args:
        text: The document.
        root: Of the repository.
        tops: Its folders; what begins with none of them is not looked up.
        package: A folder whose subfolders paths may begin with as well.
    """
    wrong, tops = [], list(tops)
    parts = [path.name for path in package.iterdir() if path.is_dir()] if package else []
    for span in quoted(re.sub(r"^```.*?^```", "", text, flags=re.M | re.S)):
        if re.search(r"[<>{} ]", span):
            continue
        path, first = span.split("::")[0].rstrip("/"), span.split("/")[0]
        places = [root] * (first in tops) + [package] * (first in parts)
        if "/" in span and places and not any(list(place.glob(path)) for place in places if place):
            wrong.append(f"{span} does not exist")
        source = re.fullmatch(r"\w+\.(?:py|cpp|hpp|c)", span)
        if source and not any(path for top in tops for path in (root / top).rglob(span)) and not (root / span).exists():
            wrong.append(f"no file is called {span}")
    return wrong


def check_tests(text: str, folder: Path) -> list[str]:
    """Tests that the text names, `test_file.py::test_name`, and that do not exist."""
    wrong = []
    for file, name in re.findall(r"(test_\w+\.py)::(test_\w+)", text):
        path = folder / file
        if not path.is_file() or not re.search(rf"^def {name}\(", path.read_text(), flags=re.M):
            wrong.append(f"{file}::{name} does not exist")
    return wrong


def launch_arguments(source: str) -> set[str]:
    """Names of a launch file's arguments."""
    calls = [node for node in ast.walk(ast.parse(source)) if isinstance(node, ast.Call)]
    return {ast.literal_eval(c.args[0]) for c in calls if getattr(c.func, "id", "") == "DeclareLaunchArgument"}


def make_targets(source: str) -> dict[str, str]:
    """Targets of a Makefile and their recipes."""
    return dict(re.findall(r"^([a-z]+):(?!=).*\n((?:\t.*\n)*)", source, flags=re.M))
