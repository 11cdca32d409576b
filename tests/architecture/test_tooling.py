# SPDX-License-Identifier: GPL-3.0-or-later
"""The tools that read the sources have nothing to say about them."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

PROJECT = Path(__file__).parents[2]
TOOLS = Path(sys.executable).parent
PACKAGE = PROJECT / "gnoppix_build"
DATA_FOLDERS = frozenset({"components", "__pycache__"})


@pytest.mark.parametrize(
    "command",
    [
        pytest.param(("ruff", "check", "--output-format=concise"), id="ruff"),
        pytest.param(("ruff", "format", "--check"), id="format"),
        pytest.param(("mypy",), id="types"),
        pytest.param(("lint-imports", "--no-cache"), id="layers"),
        pytest.param(("yamllint", "--strict", "."), id="yaml"),
        pytest.param(("ansible-lint", "--offline", "--profile=production"), id="playbooks"),
    ],
)
def test_tool_finds_nothing(command: tuple[str, ...]) -> None:
    program, *arguments = command
    environment = {**os.environ, "NO_COLOR": "1", "PATH": f"{TOOLS}{os.pathsep}{os.defpath}"}
    said = subprocess.run(
        (TOOLS / program, *arguments),
        cwd=PROJECT,
        env=environment,
        check=False,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    assert said.returncode == 0, f"{' '.join(command)}\n{said.stdout}"


def test_every_layer_is_a_package() -> None:
    """The import linter does not see a folder without an __init__.py."""
    layers = [path for path in PACKAGE.iterdir() if path.is_dir()]
    unseen = [
        path.name
        for path in layers
        if path.name not in DATA_FOLDERS and not (path / "__init__.py").exists()
    ]
    assert unseen == []
