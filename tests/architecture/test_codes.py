# SPDX-License-Identifier: GPL-3.0-or-later
"""Every code of a diagnostic is documented, and every documented one exists."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

PROJECT = Path(__file__).parents[2]
PACKAGE = PROJECT / "gnoppix_build"
PAGE = PROJECT / "docs" / "diagnostics.md"
ROW = re.compile(r"\| `([a-z0-9-]+)` \| \S.* \|")


def modules() -> Iterator[ast.Module]:
    for path in sorted(PACKAGE.rglob("*.py")):
        if not path.is_relative_to(PACKAGE / "components"):
            yield ast.parse(path.read_text())


def takers_of_a_code() -> dict[str, int]:
    """Map what has a parameter or a field `code` to its position."""
    found: dict[str, int] = {}
    for node in (node for module in modules() for node in ast.walk(module)):
        names: list[str] = []
        if isinstance(node, ast.FunctionDef):
            names = [each.arg for each in node.args.args if each.arg != "self"]
        if isinstance(node, ast.ClassDef):
            fields = (each for each in node.body if isinstance(each, ast.AnnAssign))
            names = [each.target.id for each in fields if isinstance(each.target, ast.Name)]
        if isinstance(node, ast.FunctionDef | ast.ClassDef) and "code" in names:
            found[node.name] = names.index("code")
    return found


def codes_in(module: ast.Module, takers: dict[str, int]) -> Iterator[str]:
    constants = {
        target.id: each.value
        for each in ast.walk(module)
        if isinstance(each, ast.Assign | ast.AnnAssign) and each.value
        for target in (each.targets if isinstance(each, ast.Assign) else [each.target])
        if isinstance(target, ast.Name)
    }
    for call in ast.walk(module):
        if isinstance(call, ast.Call):
            name = call.func.attr if isinstance(call.func, ast.Attribute) else ""
            name = call.func.id if isinstance(call.func, ast.Name) else name
            given = [each.value for each in call.keywords if each.arg == "code"]
            if name in takers:
                given += call.args[takers[name] : takers[name] + 1]
            for each in given:
                value = constants.get(each.id, each) if isinstance(each, ast.Name) else each
                yield from texts_of(value)


def texts_of(value: ast.expr) -> Iterator[str]:
    """Give the texts that an expression may stand for."""
    match value:
        case ast.Constant(value=str(text)):
            yield text
        case ast.IfExp(body=body, orelse=other):
            yield from texts_of(body)
            yield from texts_of(other)


def test_every_code_is_documented_once() -> None:
    takers = takers_of_a_code()
    assert {"Diagnostic", "mistake", "matching", "tell"} <= takers.keys()
    used = {code for module in modules() for code in codes_in(module, takers)}
    assert "port-taken" in used
    documented = [found[1] for line in PAGE.read_text().splitlines() if (found := ROW.match(line))]
    assert sorted(documented) == sorted(used)
