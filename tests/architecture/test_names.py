# SPDX-License-Identifier: GPL-3.0-or-later
"""The package's Python knows no component by its name."""

import ast
from pathlib import Path

PACKAGE = Path(__file__).parents[2] / "gnoppix_build"
COMPONENTS = PACKAGE / "components"
# Also words of the field: traffic that is redirected.
ALLOWED = frozenset({"dns"})


def test_no_string_literal_is_a_components_name() -> None:
    names = {path.parent.name for path in COMPONENTS.glob("*/component.yaml")}
    assert names, "there are components"
    found = [
        f"{path.relative_to(PACKAGE)}:{node.lineno}: {node.value}"
        for path in sorted(PACKAGE.rglob("*.py"))
        if not path.is_relative_to(COMPONENTS)
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.Constant) and node.value in names - ALLOWED
    ]
    assert found == []
