# SPDX-License-Identifier: GPL-3.0-or-later
"""What the documents say of the code: what they name is there, each page is current."""

import ast
import re
import textwrap
from pathlib import Path

import pytest

from gnoppix_build.catalog.load import COMPONENTS_FOLDER, load_catalog
from gnoppix_build.effects.sources import SourceFolders
from gnoppix_build.report.catalog_page import catalog_pages
from gnoppix_build.report.component import describe_component

PROJECT = Path(__file__).parents[2]
DOCUMENTS = PROJECT / "docs"
REFERENCE = re.compile(r"`(\w+\.py)::(\w+)`")
REASON = "Cannot occur: "
EVIDENCE_TABLES = ("failures.md", "measured.md")


def known_tests() -> set[tuple[str, str]]:
    """Name every test of the suite and every check of a component: file, function."""
    files = [*(PROJECT / "tests").rglob("test_*.py"), *COMPONENTS_FOLDER.glob("*/check_*.py")]
    return {
        (file.name, node.name)
        for file in files
        for node in ast.parse(file.read_text()).body
        if isinstance(node, ast.FunctionDef) and node.name.startswith(("test_", "check_"))
    }


def rows_of(document: str) -> list[list[str]]:
    """Give the cells of every table row but the headings."""
    lines = (DOCUMENTS / document).read_text().splitlines()
    rows = [
        [cell.strip() for cell in line.strip("|").split("|")]
        for line in lines
        if line.startswith("|")
    ]
    assert rows, f"{document} has a table"
    return [row for row in rows if not set(row[0]) <= {"-"} and row[-1] != "Held by"]


@pytest.mark.parametrize("document", EVIDENCE_TABLES)
def test_every_named_test_exists(document: str) -> None:
    named = set(REFERENCE.findall((DOCUMENTS / document).read_text()))
    assert named
    assert named - known_tests() == set()


@pytest.mark.parametrize("document", EVIDENCE_TABLES)
def test_every_row_names_a_test_or_says_why_there_is_none(document: str) -> None:
    open_rows = [
        row[0]
        for row in rows_of(document)
        if not REFERENCE.search(row[-1]) and not row[-1].startswith(REASON)
    ]
    assert open_rows == []


def test_test_files_have_names_of_their_own() -> None:
    """A reference names a file without its folder."""
    names = [file.name for file in (PROJECT / "tests").rglob("test_*.py")]
    assert sorted(names) == sorted(set(names))


def test_pages_of_the_components_are_in_step_with_their_folders() -> None:
    """`./run docs` writes them anew."""
    reader = SourceFolders([PROJECT])
    components = load_catalog([COMPONENTS_FOLDER], reader).components.values()
    pages = catalog_pages(describe_component(each, reader) for each in components)
    written = {path.name: path.read_text() for path in (DOCUMENTS / "services").iterdir()}
    assert sorted(written) == sorted(pages)
    assert [name for name in sorted(pages) if written[name] != pages[name]] == []


def test_readme_shows_the_profile_that_is_shipped() -> None:
    shipped = (PROJECT / "profiles" / "minimal.yaml").read_text().split("\n", 1)[1]
    assert textwrap.indent(shipped, "    ") in (PROJECT / "README.md").read_text()


def test_readme_lists_the_profiles_that_are_shipped() -> None:
    readme = (PROJECT / "README.md").read_text()
    listed = re.findall(r"^\| `([a-z0-9-]+)` \| [a-z]", readme, re.MULTILINE)
    shipped = {path.stem for path in (PROJECT / "profiles").glob("*.yaml")}
    assert shipped <= set(listed)


def test_readme_says_what_each_verb_does() -> None:
    """A row a verb, and no verb that there is not."""
    readme = (PROJECT / "README.md").read_text()
    listed = re.findall(r"^\| `([a-z]+)` \| \S.* \| (?:no|yes) \|$", readme, re.MULTILINE)
    verbs = (PROJECT / "gnoppix_build" / "cli" / "verbs").glob("[a-z]*.py")
    assert sorted(listed) == sorted(path.stem for path in verbs)


@pytest.mark.parametrize(
    "document",
    ["README.md", "contrib/buildbot/README.md"]
    + [f"docs/{name}.md" for name in ("ci/README", "failures", "measured")],
)
def test_links_lead_to_files(document: str) -> None:
    file = PROJECT / document
    targets = re.findall(r"\]\(([^)#]+)\)", file.read_text())
    here = [target for target in targets if not target.startswith("https://")]
    missing = [target for target in here if not (file.parent / target).exists()]
    assert missing == []
