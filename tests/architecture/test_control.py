# SPDX-License-Identifier: GPL-3.0-or-later
"""The Debian package asks for what the code runs on the host and imports."""

import ast
import shutil
import tomllib
from collections.abc import Iterator
from pathlib import Path

from debian.deb822 import Deb822, PkgRelation

from gnoppix_build.effects.process import PACKAGE_OF_TOOL, SEARCH_PATH

PROJECT = Path(__file__).parents[2]
EFFECTS = PROJECT / "gnoppix_build" / "effects"
# What each program comes with, where PACKAGE_OF_TOOL has no hint for it.
PACKAGES = {
    **PACKAGE_OF_TOOL,
    "ansible-inventory": "ansible-core",
    "apt-config": "apt",
    "dpkg-deb": "dpkg",
    "mmdebstrap": "mmdebstrap",
    "pip": "python3-pip",
    "sqop": "sqop",
}
ESSENTIAL = frozenset(("dpkg", "util-linux"))
# They run in a root: that of an image, or the small tree that a build makes for itself.
IN_A_ROOT = frozenset(
    ("mksquashfs", "qemu-system-x86_64", "systemd-sysusers", "update-initramfs", "xorriso")
)
# A value of apt's settings.
NO_PROGRAM = "false"
OF_DEBIAN = {"ansible-core": "ansible-core", "pytest-testinfra": "python3-testinfra"}


def words_of(tree: ast.AST) -> Iterator[str]:
    """Give what may be the name of a program: a command's first word, an argument, a constant."""
    for node in ast.walk(tree):
        match node:
            case ast.Tuple(elts=[ast.Constant(value=str(word)), *_]):
                yield word
            case ast.Tuple(elts=[_, ast.Constant(value="-m"), ast.Constant(value=str(word)), *_]):
                yield word
            case ast.Call(
                func=ast.Name(id="require_tool" | "_call"), args=[ast.Constant(value=str(word)), *_]
            ):
                yield word
            case ast.Assign(value=ast.Constant(value=str(word))):
                yield word
            case ast.For(iter=ast.Tuple(elts=words)):
                yield from (str(each.value) for each in words if isinstance(each, ast.Constant))
            case ast.AnnAssign(value=ast.Constant(value=str(word))):
                yield word


def programs_of_the_host() -> set[str]:
    """Name the programs that effects run: those known here, and what this host has of others."""
    words = {
        word
        for file in EFFECTS.glob("*.py")
        for word in words_of(ast.parse(file.read_text()))
        if word in PACKAGES or ("/" not in word and shutil.which(word, path=SEARCH_PATH))
    }
    return words - IN_A_ROOT - {NO_PROGRAM}


def relations(field: str) -> dict[str, str]:
    """Give package -> version, empty for any, of a field of the binary package."""
    with (PROJECT / "debian" / "control").open() as text:
        _, binary = Deb822.iter_paragraphs(text)
    parsed = PkgRelation.parse_relations(binary[field])
    return {each["name"]: "".join(each["version"] or ()) for [each] in parsed}


def test_package_asks_for_every_program_that_is_run() -> None:
    programs = programs_of_the_host()
    assert programs == PACKAGES.keys()
    asked = {*relations("Depends"), *relations("Recommends"), *relations("Suggests")}
    needed = {PACKAGES[program] for program in programs} - ESSENTIAL
    assert needed - asked == set()


def test_package_recommends_what_building_and_verifying_import() -> None:
    project = tomllib.loads((PROJECT / "pyproject.toml").read_text())["project"]
    extras = project["optional-dependencies"]
    wanted = {}
    for line in (*extras["build"], *extras["verify"]):
        name, _, version = line.partition(",")[0].partition(">=")
        wanted[OF_DEBIAN.get(name, f"python3-{name}")] = f">={version}"
    recommended = relations("Recommends")
    assert {name: recommended.get(name) for name in wanted} == wanted
