# SPDX-License-Identifier: GPL-3.0-or-later
"""What lies in contrib talks to the command by JSON; the import linter holds the other way."""

import ast
from pathlib import Path

MASTER = Path(__file__).parents[2] / "contrib" / "buildbot" / "master.cfg"


def test_master_never_imports_the_package_and_has_a_licence_of_its_own() -> None:
    text = MASTER.read_text()
    nodes = list(ast.walk(ast.parse(text)))
    named = [alias.name for each in nodes if isinstance(each, ast.Import) for alias in each.names]
    named += [str(each.module) for each in nodes if isinstance(each, ast.ImportFrom)]
    assert sorted(named) == ["buildbot.config", "buildbot.plugins", "json", "pathlib", "time"]
    assert text.startswith("# SPDX-License-Identifier: MIT\n")
