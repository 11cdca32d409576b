# SPDX-License-Identifier: GPL-3.0-or-later
"""The tools that read the sources have nothing to say about them."""

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

PROJECT = Path(__file__).parents[2]
TOOLS = Path(sys.executable).parent
PACKAGE = PROJECT / "gnoppix_build"
DATA_FOLDERS = frozenset({"components", "__pycache__"})


# What a reader of a rendered tree lints has the tasks of components too, and no settings of ours.
RENDERED = "rendered playbooks"
PROFILE = """\
version: 1
name: linted
components:
  ai-leaks: {}
  debian-base: {}
  firewall: {}
  locales: {}
  own-network: {dhcp: off}
  remote-access: {}
"""
TOOLS_AND_OPTIONS = {
    "types": ("mypy",),
    "playbooks": ("ansible-lint", "--offline", "--profile=production"),
    RENDERED: ("ansible-lint", "--offline", "--profile=production"),
    "ruff": ("ruff", "check", "--output-format=concise"),
    "format": ("ruff", "format", "--check"),
    "layers": ("lint-imports", "--no-cache"),
    "yaml": ("yamllint", "--strict", "."),
}


@pytest.fixture(scope="module")
def rendered(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Give the playbooks that a machine with tasks of components gets."""
    folder = tmp_path_factory.mktemp("rendered")
    profile = folder / "linted.yaml"
    profile.write_text(PROFILE)
    command = ("render", profile, "--target", "machine", "-o", folder / "tree")
    subprocess.run((sys.executable, "-m", "gnoppix_build", *command), cwd=PROJECT, check=True)
    project = folder / "tree" / "project"
    names = {path.name for path in (project / "tasks").iterdir()}
    assert names == {"ai-leaks.yml", "locales.yml"}
    return project


@pytest.fixture(scope="module")
def running(
    request: pytest.FixtureRequest, rendered: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[dict[str, tuple["subprocess.Popen[bytes]", Path]]]:
    """Start the tools that this run asks for, all at once: one waits where another computes."""
    environment = {**os.environ, "NO_COLOR": "1", "PATH": f"{TOOLS}{os.pathsep}{os.defpath}"}
    folder = tmp_path_factory.mktemp("tools")
    items = [item for item in request.session.items if item.path == request.path]
    asked = {item.callspec.params["name"] for item in items if hasattr(item, "callspec")}
    started = {}
    for name in TOOLS_AND_OPTIONS.keys() & asked:
        program, *arguments = TOOLS_AND_OPTIONS[name]
        said = folder / name
        with said.open("wb") as talk:
            process = subprocess.Popen(
                (TOOLS / program, *arguments),
                cwd=rendered if name == RENDERED else PROJECT,
                env=environment,
                stdout=talk,
                stderr=subprocess.STDOUT,
            )
        started[name] = process, said
    yield started
    for process, _ in started.values():
        process.kill()
        process.wait()


@pytest.mark.parametrize("name", TOOLS_AND_OPTIONS)
def test_tool_finds_nothing(
    name: str, running: dict[str, tuple["subprocess.Popen[bytes]", Path]]
) -> None:
    process, said = running[name]
    assert process.wait() == 0, f"{' '.join(TOOLS_AND_OPTIONS[name])}\n{said.read_text()}"


def test_every_layer_is_a_package() -> None:
    """The import linter does not see a folder without an __init__.py."""
    layers = [path for path in PACKAGE.iterdir() if path.is_dir()]
    unseen = [
        path.name
        for path in layers
        if path.name not in DATA_FOLDERS and not (path / "__init__.py").exists()
    ]
    assert unseen == []
