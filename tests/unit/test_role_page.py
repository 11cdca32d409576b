# SPDX-License-Identifier: GPL-3.0-or-later
"""The role's page, its defaults and its argument_specs say the same."""

import re
from pathlib import Path
from typing import Any

import yaml

ROLE = Path(__file__).parents[2] / "playbooks" / "roles" / "apply_component"
WORDS = {"str": "text", "list": "list", "dict": "map", "bool": "truth"}


def read_page() -> str:
    return (ROLE / "README.md").read_text()


def read_arguments() -> dict[str, dict[str, Any]]:
    """Give entry point -> argument -> what is said of it."""
    specs = yaml.safe_load((ROLE / "meta" / "argument_specs.yml").read_text())["argument_specs"]
    return {name: spec["options"] for name, spec in specs.items()}


def describe(spec: dict[str, Any]) -> tuple[str, str]:
    """Write type and default as the page does."""
    choices = " or ".join(f"`{each}`" for each in spec.get("choices", ()))
    default = spec.get("default")
    text = str(default).lower() if isinstance(default, bool) else str(default)
    return choices or WORDS[spec["type"]], "required" if spec.get("required") else f"`{text}`"


def test_table_of_the_page_says_what_the_arguments_are() -> None:
    row = re.compile(r"^\| `(apply_\w+)` \| (.+) \| (.+) \| (.+) \|$", re.MULTILINE)
    rows = {name: (kind, default) for name, kind, default, _ in row.findall(read_page())}
    meanings = {name: meaning for name, _, _, meaning in row.findall(read_page())}
    arguments = read_arguments()["main"]
    assert rows == {name: describe(spec) for name, spec in arguments.items()}
    for name in ("apply_component_files", "apply_component_units"):
        assert set(re.findall(r"`([a-z]+)`", meanings[name])) == arguments[name]["options"].keys()


def test_page_names_the_entry_points_and_their_arguments() -> None:
    page, arguments = read_page(), read_arguments()
    listed = set(re.findall(r"^\| `([a-z]+)` \| [a-z]", page, re.MULTILINE))
    assert listed == arguments.keys() - {"main"}
    assert {path.stem for path in (ROLE / "tasks").glob("*.yml")} >= listed
    named = set(re.findall(r"`(apply_component_\w+)`", page))
    assert {name for each in arguments.values() for name in each} - named == set()
    for name, spec in arguments["gate"].items():
        if "default" in spec:
            assert f"`{name}` ({spec['default']})" in page


def test_defaults_are_those_of_the_arguments() -> None:
    defaults = yaml.safe_load((ROLE / "defaults" / "main.yml").read_text())
    declared = {
        name: spec["default"]
        for each in read_arguments().values()
        for name, spec in each.items()
        if "default" in spec
    }
    assert defaults == declared
