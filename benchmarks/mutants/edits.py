"""Small changes of a source file, each of which some test should notice.

Each mutant is one textual edit, so that the rest of the file stays as it is and a report can show the changed line.
What decides nothing is left alone: annotations, docstrings, strings and f-strings (texts of errors and logs),
decorators, assertions for the type checker, calls that only log, and `strict=` of zip.
"""

from __future__ import annotations

import ast
import hashlib
from collections.abc import Iterator

from operators import ARITHMETIC, BOUNDARIES, LOGGING, NAMES, OPPOSITE, SYMBOLS, TEXT
from source import Mutant, Source


def mutants(path: str, source: str) -> list[Mutant]:
    """All mutants of a source file, in the order of its lines; each compiles and differs from the others."""
    found: dict[str, Mutant] = {}
    for mutant in _Walk(path, source).walk():
        changed = mutant.apply(source)
        digest = hashlib.sha256(changed.encode()).hexdigest()
        if digest not in found and changed != source:
            ast.parse(changed)
            found[digest] = mutant
    return sorted(found.values(), key=lambda mutant: (mutant.line, mutant.start, mutant.text))


class _Walk:
    """Goes through the tree of one file; what it is inside of decides what an edit means."""

    def __init__(self, path: str, source: str) -> None:
        self._source = Source(path, source)
        self._functions: list[ast.FunctionDef | ast.AsyncFunctionDef] = []
        self._whole = {  # constants that stand for integers: comparisons with them have a boundary
            target.id
            for node in self._source.tree.body
            if isinstance(node, ast.Assign) and isinstance(node.value, ast.Constant) and type(node.value.value) is int
            for target in node.targets
            if isinstance(target, ast.Name)
        }

    def walk(self) -> Iterator[Mutant]:
        for statement in self._source.tree.body:
            yield from self._statement(statement)

    # ---------------------------------------------------------------- statements

    def _statement(self, node: ast.stmt) -> Iterator[Mutant]:
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
            yield from self._function(node)
        elif isinstance(node, ast.ClassDef):
            for child in node.body:
                yield from self._statement(child)
        elif not isinstance(node, (ast.Import, ast.ImportFrom, ast.Assert, ast.Global, ast.Nonlocal)):
            self._source.reach = self._lines(node)
            yield from self._removed(node)
            yield from self._parts(node)
            for name in ("body", "orelse", "finalbody"):
                for child in getattr(node, name, []):
                    if isinstance(child, ast.stmt):
                        yield from self._statement(child)
            for handler in getattr(node, "handlers", []):
                for child in handler.body:
                    yield from self._statement(child)

    def _function(self, node: ast.FunctionDef | ast.AsyncFunctionDef) -> Iterator[Mutant]:
        self._functions.append(node)
        self._source.reach = tuple(line for child in node.body for line in range(child.lineno, child.end_lineno + 1))
        for default in (*node.args.defaults, *node.args.kw_defaults):
            if default is not None:
                yield from self._expression(default)
        for child in node.body:
            yield from self._statement(child)
        self._functions.pop()

    def _lines(self, node: ast.stmt) -> tuple[int, ...]:
        if not self._functions:
            return ()
        body = getattr(node, "body", None)
        last = body[0].lineno - 1 if isinstance(body, list) and body else node.end_lineno
        return tuple(range(node.lineno, max(last, node.lineno) + 1))

    def _removed(self, node: ast.stmt) -> Iterator[Mutant]:
        """Whole statements that go, or end otherwise."""
        if isinstance(node, ast.Expr):
            if isinstance(node.value, (ast.Call, ast.Yield, ast.YieldFrom, ast.Await)) and not _logs(node.value):
                yield self._source.edit("statement removed", node, "pass")
        elif isinstance(node, (ast.Raise, ast.Delete, ast.AugAssign)):
            yield self._source.edit("statement removed", node, "pass")
        elif isinstance(node, (ast.Assign, ast.AnnAssign)):
            targets = node.targets if isinstance(node, ast.Assign) else [node.target]
            kept = any(isinstance(part, (ast.Attribute, ast.Subscript)) for each in targets for part in ast.walk(each))
            if kept and node.value is not None and not (self._functions and self._functions[-1].name == "__init__"):
                yield self._source.edit("assignment removed", node, "pass")
        elif isinstance(node, ast.Break):
            yield self._source.edit("break", node, "continue")
        elif isinstance(node, ast.Continue):
            yield self._source.edit("continue", node, "break")
        elif isinstance(node, ast.Return) and node.value is not None and self._functions:
            yield from self._returned(node.value)

    def _returned(self, value: ast.expr) -> Iterator[Mutant]:
        constant = isinstance(value, ast.Constant)
        annotation = self._functions[-1].returns
        if isinstance(annotation, ast.Name) and annotation.id == "bool":
            if not constant:  # a constant is turned round as such
                yield self._source.edit("return value", value, "True")
                yield self._source.edit("return value", value, "False")
        elif not (constant and value.value is None):
            yield self._source.edit("return value", value, "None")

    def _parts(self, node: ast.stmt) -> Iterator[Mutant]:
        """Edits within a statement, not within the statements that it holds."""
        if isinstance(node, ast.If):
            yield from self._condition(node.test, (True, False))
        elif isinstance(node, ast.While):
            yield from self._condition(node.test, (False,))
        elif isinstance(node, ast.AugAssign):
            yield from self._arithmetic(node, node.target, node.value, suffix="=")
            yield from self._expression(node.value)
        elif isinstance(node, ast.AnnAssign):
            if node.value is not None:
                yield from self._expression(node.value)
        elif not (isinstance(node, ast.Expr) and _logs(node.value)):
            for child in ast.iter_child_nodes(node):
                if isinstance(child, ast.expr):
                    yield from self._expression(child)
                elif isinstance(child, ast.withitem):
                    yield from self._expression(child.context_expr)

    # ---------------------------------------------------------------- expressions

    def _condition(self, test: ast.expr, values: tuple[bool, ...]) -> Iterator[Mutant]:
        for value in values:
            yield self._source.edit("condition", test, str(value))
        yield from self._expression(test, decides=len(values) == 2)

    def _expression(self, node: ast.expr, decides: bool = False) -> Iterator[Mutant]:
        """Edits of an expression; of one that decides, its opposite is known to be tried already."""
        if isinstance(node, (ast.JoinedStr, ast.FormattedValue)):
            return
        if isinstance(node, ast.Constant):
            yield from self._constant(node)
        elif isinstance(node, ast.Compare):
            yield from self._comparison(node, decides)
        elif isinstance(node, ast.BoolOp):
            old, new = ("and", "or") if isinstance(node.op, ast.And) else ("or", "and")
            for left, right in zip(node.values, node.values[1:], strict=False):
                yield from self._source.between("and/or", left, right, old, new)
        elif isinstance(node, ast.UnaryOp) and isinstance(node.op, (ast.Not, ast.USub)):
            yield self._source.edit(
                "not" if isinstance(node.op, ast.Not) else "sign", node, self._source.text(node.operand)
            )
        elif isinstance(node, ast.BinOp):
            yield from self._arithmetic(node, node.left, node.right)
        elif isinstance(node, ast.IfExp):
            yield from self._condition(node.test, (True, False))
            yield from self._expression(node.body)
            yield from self._expression(node.orelse)
            return
        elif isinstance(node, ast.Call):
            yield from self._call(node)
        for child in ast.iter_child_nodes(node):
            if isinstance(child, ast.comprehension):
                yield from self._expression(child.iter)
                for test in child.ifs:
                    yield from self._condition(test, (True,))
            elif isinstance(child, ast.keyword):
                if child.arg != "strict":
                    yield from self._expression(child.value)
            elif isinstance(child, ast.arguments):
                for default in child.defaults:
                    yield from self._expression(default)
            elif isinstance(child, ast.expr):
                yield from self._expression(child)

    def _constant(self, node: ast.Constant) -> Iterator[Mutant]:
        value = node.value
        if value is True or value is False:
            yield self._source.edit("constant", node, str(not value))
        elif isinstance(value, int):
            yield self._source.edit("constant", node, str(value + 1))
            if value:
                yield self._source.edit("constant", node, "0")
        elif isinstance(value, float):
            yield self._source.edit("constant", node, repr(2.0 * value if value else 1.0))
            if value:
                yield self._source.edit("constant", node, "0.0")

    def _comparison(self, node: ast.Compare, decides: bool) -> Iterator[Mutant]:
        operands = [node.left, *node.comparators]
        for left, operator, right in zip(operands, node.ops, operands[1:], strict=False):
            old = SYMBOLS[type(operator)]
            if not decides or len(node.ops) > 1:
                yield from self._source.between("comparison", left, right, old, OPPOSITE[old])
            if old in BOUNDARIES and (self._is_whole(left) or self._is_whole(right)):
                yield from self._source.between("boundary", left, right, old, BOUNDARIES[old])

    def _is_whole(self, node: ast.expr) -> bool:
        if isinstance(node, ast.Name):
            return node.id in self._whole
        if isinstance(node, ast.Call):
            return isinstance(node.func, ast.Name) and node.func.id == "len"
        return (isinstance(node, ast.Constant) and type(node.value) is int) or (
            isinstance(node, ast.Attribute) and node.attr in ("ndim", "size")
        )

    def _arithmetic(
        self, node: ast.BinOp | ast.AugAssign, left: ast.expr, right: ast.expr, suffix: str = ""
    ) -> Iterator[Mutant]:
        texts = [part for part in (left, right) if isinstance(part, TEXT) or _is_string(part)]
        if type(node.op) in ARITHMETIC and not texts:
            old, new = ARITHMETIC[type(node.op)]
            yield from self._source.between("arithmetic", left, right, old + suffix, new + suffix)

    def _call(self, node: ast.Call) -> Iterator[Mutant]:
        function = node.func
        name = function.attr if isinstance(function, ast.Attribute) else getattr(function, "id", "")
        if name in NAMES:
            end = self._source.end(function)
            yield self._source.replace("min/max", node.lineno, end - len(name.encode()), end, NAMES[name])
        elif name == "abs" and len(node.args) == 1 and not node.keywords:
            yield self._source.edit("abs", node, f"({self._source.text(node.args[0])})")


def _logs(node: ast.AST) -> bool:
    return isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr in LOGGING


def _is_string(node: ast.expr) -> bool:
    return isinstance(node, ast.Constant) and isinstance(node.value, str)
