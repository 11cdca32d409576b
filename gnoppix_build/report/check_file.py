# SPDX-License-Identifier: GPL-3.0-or-later
"""A check file, read without being run: which checks it holds and what each promises."""

import ast
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from gnoppix_build.report.finding import Tier

TIERS: Final[tuple[Tier, ...]] = ("static", "running", "traffic", "offline")
_PREFIXES: Final = ("test_", "check_")
_MARK: Final = "pytest.mark."


@dataclass(frozen=True, slots=True)
class CheckPromise:
    """A check, and what it promises of a system when it passes."""

    name: str
    promise: str
    tiers: tuple[Tier, ...]
    is_destructive: bool


def read_check_file(text: str) -> tuple[CheckPromise, ...]:
    """List the checks in the order of the file."""
    return tuple(
        _read_check(node)
        for node in ast.parse(text).body
        if isinstance(node, ast.FunctionDef) and node.name.startswith(_PREFIXES)
    )


def _read_check(function: ast.FunctionDef) -> CheckPromise:
    marks = set(_marks_of(function))
    documentation = (ast.get_docstring(function) or function.name).splitlines()
    return CheckPromise(
        name=function.name,
        promise=documentation[0],
        tiers=tuple(tier for tier in TIERS if tier in marks),
        is_destructive="destructive" in marks,
    )


def _marks_of(function: ast.FunctionDef) -> Iterator[str]:
    for decorator in function.decorator_list:
        written = ast.unparse(decorator.func if isinstance(decorator, ast.Call) else decorator)
        if written.startswith(_MARK):
            yield written.removeprefix(_MARK)
