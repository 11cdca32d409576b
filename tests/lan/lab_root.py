# SPDX-License-Identifier: GPL-3.0-or-later
"""A Debian tree for tests: the suite's own tor, systemd and tools, made once and kept."""

import fcntl
import os
import shutil
import tempfile
from contextlib import suppress
from dataclasses import astuple
from pathlib import Path

from gnoppix_build.cli.session import cache_folder
from gnoppix_build.effects import pool, rootfs
from gnoppix_build.effects.apt import host_mirrors, make_lock
from gnoppix_build.effects.apt_mirrors import Mirrors
from gnoppix_build.lock.model import Lock
from gnoppix_build.plan.steps import digest_of

SUITE = "trixie"
PACKAGES = (
    *("dbus", "iproute2", "nftables", "procps", "python3-minimal", "systemd", "systemd-sysv"),
    *("tor", "obfs4proxy", "udev"),
)


def make_lab_root(packages: tuple[str, ...] = PACKAGES) -> Path:
    """Give the tree of these packages; it is for reading only: overlay it to change it.

    The project's own lock, pool and bootstrap make it, so it holds what an image would get. It
    stays in the cache under the hash of what it is made of.
    """
    os.umask(0o022)
    cache = cache_folder()
    lab = cache / "lab"
    lab.mkdir(parents=True, exist_ok=True)
    with (lab / "lock").open("w") as waiting:
        fcntl.flock(waiting, fcntl.LOCK_EX)
        lock = lock_packages(packages, cache)
        target = lab / digest_of([astuple(package) for package in lock.tools.packages])
        if not target.is_dir():
            _bootstrap(lock, cache, target)
    return target


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


def _bootstrap(lock: Lock, cache: Path, target: Path) -> None:
    mirrors: Mirrors = host_mirrors(None)
    log = target.with_suffix(".log")
    with tempfile.TemporaryDirectory(dir=target.parent, prefix="making-") as scratch:
        tree, repository = Path(scratch, "tree"), Path(scratch, "repository")
        pool.fetch(lock.tools.packages, mirrors, cache / "pool", log)
        pool.write_repository(lock.tools.packages, cache / "pool", repository)
        rootfs.bootstrap_tools(lock.tools.packages, repository, tree, lock.epoch, log)
        # A container's first start must not ask, and must find no users' ids changed.
        (tree / "etc/machine-id").write_text("uninitialized\n")
        with suppress(FileNotFoundError):
            shutil.rmtree(target)
        tree.rename(target)
