# SPDX-License-Identifier: GPL-3.0-or-later
"""Builds the Debian package of the tool in a clean root of the suite, without a network.

The root holds what debian/control asks for and lintian, from the host's own apt sources, and is
kept in the cache under the hash of what it is made of. The results lie in out/deb.
"""

import argparse
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

from debian.changelog import Changelog
from debian.deb822 import Deb822, PkgRelation
from lab_root import make_lab_root

from gnoppix_build.effects.layers import overlay
from gnoppix_build.effects.namespaces import enter_private_mounts, unmount
from gnoppix_build.effects.process import CLEAN_ENVIRONMENT, isolated

PROJECT = Path(__file__).parents[1]
NOT_DECLARED = ("build-essential", "fakeroot", "lintian")
BUILD = ("dpkg-buildpackage", "--unsigned-source", "--unsigned-changes")
# It has two ways to tell: its status counts what an override explains, its output does not.
LINTIAN = ("lintian", "--allow-root", "--display-info", "--pedantic", "--fail-on=none")


def build_dependencies(control: Path) -> tuple[str, ...]:
    """Name the packages that a source package is built with."""
    with control.open() as text:
        source = next(iter(Deb822.iter_paragraphs(text)))
    alternatives = PkgRelation.parse_relations(source["Build-Depends"])
    names = {relation[0]["name"] for relation in alternatives}
    return tuple(sorted({*names - {"debhelper-compat"}, "debhelper", *NOT_DECLARED}))


def copy_source(folder: Path) -> None:
    """Copy what git has or would take, with modes and links."""
    listed = subprocess.run(
        ("git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"),
        cwd=PROJECT,
        check=True,
        capture_output=True,
    ).stdout
    for name in filter(None, listed.decode().split("\0")):
        source, place = PROJECT / name, folder / name
        if source.is_symlink() or source.exists():
            place.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(source, place, follow_symlinks=False)


@contextmanager
def writable(root: Path) -> Iterator[Path]:
    """Give a root in which things may change, until the block ends."""
    with tempfile.TemporaryDirectory(dir=root.parent, prefix="building-") as scratch:
        tree = Path(scratch, "tree")
        overlay((root,), Path(scratch, "upper"), Path(scratch, "work"), tree)
        try:
            yield tree
        finally:
            unmount(tree)


def run_in(root: Path, work: Path, argv: Sequence[str], env: Mapping[str, str]) -> str:
    """Run a command in a root without a network, where `work` is /mnt/work; give its output."""
    command = isolated(argv, root=root, bindings={"work": work}, tmpfs=("/tmp", "/run"))
    environment = {**CLEAN_ENVIRONMENT, **env}
    return subprocess.run(
        command, check=True, env=environment, stdout=subprocess.PIPE, text=True
    ).stdout


def build(
    result: Path, folder_name: str, environment: Mapping[str, str], *, with_lintian: bool
) -> tuple[Path, ...]:
    """Build source and binary package, have lintian look at them, and give the files."""
    with (PROJECT / "debian/changelog").open() as text:
        changelog = Changelog(text)
    root = make_lab_root(build_dependencies(PROJECT / "debian/control"))
    with tempfile.TemporaryDirectory(prefix="gnoppix-deb-") as scratch, writable(root) as tree:
        work = Path(scratch)
        copy_source(work / folder_name)
        folder = f"/mnt/work/{folder_name}"
        run_in(tree, work, ("env", f"--chdir={folder}", *BUILD), environment)
        changes = f"/mnt/work/{changelog.package}_{changelog.version}_amd64.changes"
        if with_lintian and (said := run_in(tree, work, (*LINTIAN, changes), {})):
            sys.exit(f"lintian has something to say:\n{said}")
        made = sorted(path for path in work.iterdir() if path.is_file())
        result.mkdir(parents=True, exist_ok=True)
        for stale in result.iterdir():
            stale.unlink()
        return tuple(Path(shutil.copy2(path, result)) for path in made)


def main() -> None:
    """Build into a folder; the other arguments vary what must not matter."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("-o", "--output", type=Path, default=PROJECT / "out/deb")
    parser.add_argument("--folder-name", default="source")
    parser.add_argument("--no-lintian", action="store_true")
    parser.add_argument("--set", action="append", default=[], metavar="NAME=VALUE")
    given = parser.parse_args()
    os.umask(0o022)
    enter_private_mounts()
    environment = dict(each.split("=", 1) for each in given.set)
    judged = not given.no_lintian
    for path in build(given.output, given.folder_name, environment, with_lintian=judged):
        sys.stdout.write(f"{path}\n")


if __name__ == "__main__":
    main()
