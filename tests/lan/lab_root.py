# SPDX-License-Identifier: GPL-3.0-or-later
"""A Debian tree for tests: the suite's own tor, systemd and tools, made once and kept."""

import fcntl
import os
import shutil
import tempfile
from contextlib import suppress
from dataclasses import astuple
from functools import cache
from pathlib import Path

from gnoppix_build.cli.session import cache_folder
from gnoppix_build.effects import pool, rootfs
from gnoppix_build.effects.apt import host_mirrors, make_lock
from gnoppix_build.effects.layers import clean
from gnoppix_build.effects.process import run
from gnoppix_build.lock.model import Lock, Package
from gnoppix_build.plan.steps import digest_of

SUITE = "trixie"
PACKAGES = (
    *("dbus", "iproute2", "nftables", "procps", "python3-minimal", "systemd", "systemd-sysv"),
    *("tor", "obfs4proxy", "udev"),
)


@cache
def make_lab_root(packages: tuple[str, ...] = PACKAGES) -> Path:
    """Give the tree of these packages; it is for reading only: overlay it to change it.

    The project's own lock, pool and apt make it, so it holds what an image would get. It stays in
    the cache under the hash of what it is made of.
    """
    os.umask(0o022)
    below = _tree_below(packages)
    under = None if below is None else make_lab_root(below)
    lab = cache_folder() / "lab"
    lab.mkdir(parents=True, exist_ok=True)
    with (lab / "lock").open("w") as waiting:
        fcntl.flock(waiting, fcntl.LOCK_EX)
        lock = lock_packages(packages, cache_folder())
        target = lab / digest_of([astuple(package) for package in lock.tools.packages])
        if not target.is_dir():
            known = () if below is None else lock_packages(below, cache_folder()).tools.packages
            _make_tree(lock, under, known, target)
    return target


@cache
def lock_packages(packages: tuple[str, ...], cache: Path) -> Lock:
    """Lock what these packages and a bare system need, as tools."""
    return make_lock(
        suite=SUITE,
        areas=("main",),
        architecture="amd64",
        mirror=None,
        base=(),
        packages=(),
        tools=packages,
        cache=cache / "apt",
    )


def only_path(root: Path, pattern: str) -> Path:
    """Give the one path below a tree that a glob finds."""
    found = sorted(root.glob(pattern))
    assert len(found) == 1, found
    return found[0]


def _tree_below(packages: tuple[str, ...]) -> tuple[str, ...] | None:
    """Name the packages of the tree to start from, so that what many share is unpacked once."""
    if not packages:
        return None
    return PACKAGES if set(PACKAGES) < set(packages) else ()


def _make_tree(lock: Lock, under: Path | None, known: tuple[Package, ...], target: Path) -> None:
    """Bootstrap, or copy the tree below and install what it has not."""
    log = target.with_suffix(".log")
    wanted = [package for package in lock.tools.packages if package not in known]
    with tempfile.TemporaryDirectory(dir=target.parent, prefix="making-") as scratch:
        tree, repository = Path(scratch, "tree"), Path(scratch, "repository")
        pool.fetch(wanted, host_mirrors(None), cache_folder() / "pool", log)
        pool.write_repository(wanted, cache_folder() / "pool", repository)
        if under is None:
            rootfs.bootstrap_tools(wanted, repository, tree, lock.epoch, log)
        else:
            run(("cp", "--archive", str(under), str(tree)), log=log)
            rootfs._install_in(tree, wanted, repository, "", lock.epoch, log)
            clean(tree, lock.epoch)
        # A container's first start must not ask, and must find no users' ids changed.
        (tree / "etc/machine-id").write_text("uninitialized\n")
        with suppress(FileNotFoundError):
            shutil.rmtree(target)
        tree.rename(target)
