# SPDX-License-Identifier: GPL-3.0-or-later
"""Roots from .debs: mmdebstrap for a new one, apt inside an overlay for what is added to it."""

import tempfile
from collections.abc import Sequence
from pathlib import Path

from gnoppix_build.effects.layers import clean, overlay
from gnoppix_build.effects.namespaces import unmount
from gnoppix_build.effects.pool import REPOSITORY_SUITE
from gnoppix_build.effects.process import isolated, require_tool, run
from gnoppix_build.lock.model import Package

SOURCE_LINE = "deb [trusted=yes] file:///mnt/repository ./\n"
FORGOTTEN_FOLDERS = ("/tmp", "/run", "/var/cache/apt", "/var/lib/apt/lists")
REFUSE_SERVICES = "#!/bin/sh\nexit 101\n"
BUILDER_FILES = ("etc/hostname", "etc/resolv.conf", "etc/apt/sources.list")
MAINTAINER_ENVIRONMENT = {
    "DEBIAN_FRONTEND": "noninteractive",
    "DEBCONF_NONINTERACTIVE_SEEN": "true",
    "INITRD": "No",
    "PYTHONDONTWRITEBYTECODE": "1",
    "SYSTEMD_OFFLINE": "1",
}


def bootstrap_tools(
    packages: Sequence[Package], repository: Path, target: Path, epoch: int, log: Path
) -> None:
    """Make the tools tree with the host's mmdebstrap, of these .debs and no others."""
    require_tool("mmdebstrap")
    _bootstrap(packages, repository, target, None, "", epoch, log)


def bootstrap(
    packages: Sequence[Package],
    repository: Path,
    target: Path,
    tools: Path,
    sysusers: str,
    epoch: int,
    log: Path,
) -> None:
    """Make the base layer with the mounted tools tree's mmdebstrap, offline.

    `sysusers` (sysusers.d lines) is applied before any package but the essential ones, so that
    uids are what it says. No initrd is made.
    """
    _bootstrap(packages, repository, target, tools, sysusers, epoch, log)


def install(
    packages: Sequence[Package],
    repository: Path,
    lowers: Sequence[Path],
    upper: Path,
    sysusers: str,
    epoch: int,
    log: Path,
) -> None:
    """Install these .debs on the mounted lowers (lowest first); `upper` is the layer they make."""
    with tempfile.TemporaryDirectory(dir=upper.parent, prefix="install-") as scratch:
        root, work = Path(scratch, "root"), Path(scratch, "work")
        overlay(lowers, upper, work, root)
        try:
            _install_in(root, packages, repository, sysusers, epoch, log)
        finally:
            unmount(root)
    clean(upper, epoch)


def _bootstrap(
    packages: Sequence[Package],
    repository: Path,
    target: Path,
    tools: Path | None,
    sysusers: str,
    epoch: int,
    log: Path,
) -> None:
    target.mkdir(parents=True, exist_ok=True)
    target.chmod(0o755)
    with tempfile.TemporaryDirectory(dir=target.parent, prefix="bootstrap-") as scratch:
        accounts = Path(scratch, "sysusers.conf")
        accounts.write_text(sysusers)
        command = isolated(
            _mmdebstrap_command(packages, with_accounts=bool(sysusers)),
            root=tools,
            bindings={"repository": repository, "sysusers.conf": accounts, "target": target},
            tmpfs=("/tmp", "/run"),
        )
        run(command, log=log, env={**MAINTAINER_ENVIRONMENT, **_dated(epoch)})
    for name in BUILDER_FILES:
        (target / name).unlink(missing_ok=True)
    clean(target, epoch)


def _mmdebstrap_command(packages: Sequence[Package], *, with_accounts: bool) -> tuple[str, ...]:
    architecture = next(p.architecture for p in packages if p.architecture != "all")
    accounts = 'systemd-sysusers --root="$1" /mnt/sysusers.conf'
    return (
        "mmdebstrap",
        *("--mode=root", "--format=directory", "--variant=apt"),
        f"--architectures={architecture}",
        "--include=" + ",".join(_pinned(packages)),
        '--aptopt=APT::Install-Recommends "false"',
        "--dpkgopt=force-unsafe-io",
        "--hook-dir=/usr/share/mmdebstrap/hooks/file-mirror-automount",
        *((f"--essential-hook={accounts}",) if with_accounts else ()),
        *(REPOSITORY_SUITE, "/mnt/target", SOURCE_LINE.strip()),
    )


def _install_in(
    root: Path,
    packages: Sequence[Package],
    repository: Path,
    sysusers: str,
    epoch: int,
    log: Path,
) -> None:
    """Run apt inside the root, with services refused and the network away."""
    environment = {**MAINTAINER_ENVIRONMENT, **_dated(epoch)}
    policy = root / "usr/sbin/policy-rc.d"
    with tempfile.TemporaryDirectory(dir=repository.parent, prefix="apt-") as scratch:
        settings = Path(scratch)
        for folder in ("lists/partial", "cache/archives/partial"):
            (settings / folder).mkdir(parents=True)
        (settings / "sources.list").write_text(SOURCE_LINE)
        (settings / "sysusers.conf").write_text(sysusers)
        bindings = {"repository": repository, "settings": settings}
        policy.write_text(REFUSE_SERVICES)
        policy.chmod(0o755)
        for argv in _install_commands(packages, with_accounts=bool(sysusers)):
            command = isolated(argv, root=root, bindings=bindings, tmpfs=FORGOTTEN_FOLDERS)
            run(command, log=log, env=environment)
        policy.unlink()


def _install_commands(
    packages: Sequence[Package], *, with_accounts: bool
) -> tuple[tuple[str, ...], ...]:
    options = {
        "APT::Install-Recommends": "false",
        "APT::Sandbox::User": "root",
        "Dir::Etc::sourcelist": "/mnt/settings/sources.list",
        "Dir::Etc::sourceparts": "/dev/null",
        "Dir::State::lists": "/mnt/settings/lists",
        "Dir::Cache": "/mnt/settings/cache",
        "Dpkg::Options::": "--force-unsafe-io",
        "Dpkg::Use-Pty": "0",
    }
    settings = (word for name, value in options.items() for word in ("-o", f"{name}={value}"))
    apt = ("apt-get", "--yes", *settings)
    accounts = ("systemd-sysusers", "/mnt/settings/sysusers.conf")
    return (
        *((accounts,) if with_accounts else ()),
        (*apt, "update"),
        (*apt, "install", "--", *_pinned(packages)),
    )


def _pinned(packages: Sequence[Package]) -> list[str]:
    return [f"{package.name}={package.version}" for package in packages]


def _dated(epoch: int) -> dict[str, str]:
    return {"SOURCE_DATE_EPOCH": str(epoch)}
