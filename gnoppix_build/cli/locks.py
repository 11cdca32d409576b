# SPDX-License-Identifier: GPL-3.0-or-later
"""Which lock a command works with: one beside the profile, one beside the image, or a new one."""

from dataclasses import replace
from importlib import metadata, resources
from pathlib import Path

import click
import yaml

from gnoppix_build import __version__
from gnoppix_build.cli import session
from gnoppix_build.effects.faults import Fault
from gnoppix_build.lock.model import Lock
from gnoppix_build.lock.text import MalformedLock, format_lock, parse_lock
from gnoppix_build.lock.wanted import (
    has_roots,
    is_current,
    wanted_models,
    wanted_packages,
    wanted_roots,
)
from gnoppix_build.plan.make import ToolVersions
from gnoppix_build.resolve.model import Resolved, ResolvedComponent


class LockMistake(Fault):
    """A lock cannot be used for this profile."""

    exit_code = 3
    code = "lock"


def tools_wanted() -> tuple[str, ...]:
    """Read which packages make the tools tree."""
    text = resources.files("gnoppix_build.outputs.iso").joinpath("tools.yaml").read_text()
    return tuple(yaml.safe_load(text)["packages"])


def tool_versions() -> ToolVersions:
    """Say which of the host's tools shape a result."""
    try:
        ansible = metadata.version("ansible-core")
    except metadata.PackageNotFoundError:
        ansible = "none"
    return ToolVersions(gnoppix_build=__version__, ansible=ansible)


def lock_beside(profile: str, resolved: Resolved) -> Path:
    """Say where a profile's own lock lies."""
    if session.is_path(profile):
        return Path(profile).with_suffix(".lock")
    return session.data_folder("profiles") / f"{resolved.name}.lock"


def result_folder(folder: Path | None, resolved: Resolved) -> Path:
    """Say where results go."""
    return (folder or Path("out") / resolved.name).absolute()


def lock_of_build(folder: Path | None, resolved: Resolved) -> Path:
    """Say where the last build left its lock, and where the next one looks for it."""
    return result_folder(folder, resolved) / f"{resolved.name}.lock"


def find_lock(profile: str, resolved: Resolved, folder: Path | None) -> Lock | None:
    """Read the profile's own lock, else the last build's if it still fits; none if neither is."""
    own = lock_beside(profile, resolved)
    if own.exists():
        return _read_current(own, resolved, f"build-image lock --update {profile}")
    last = lock_of_build(folder, resolved)
    if not last.exists():
        return None
    lock = read_lock(last)
    return lock if is_current(lock, resolved, tools_wanted()) else None


def epoch_beside(profile: str, resolved: Resolved) -> int | None:
    """Say of when a profile's own lock is, whatever target it was made for."""
    own = lock_beside(profile, resolved)
    return read_lock(own).epoch if own.exists() else None


def _read_current(path: Path, resolved: Resolved, hint: str) -> Lock:
    """Read a lock that has to fit the profile."""
    lock = read_lock(path)
    if not is_current(lock, resolved, tools_wanted()):
        raise LockMistake(f"the profile asks for other packages than `{path}` holds", hint=hint)
    return lock


def require_lock(
    profile: str, resolved: Resolved, folder: Path | None, given: Path | None = None
) -> Lock:
    """Read the lock that is given; if none is, find one, or make one."""
    if given is not None:
        return _read_current(given, resolved, f"build-image lock --update -o {given} {profile}")
    return find_lock(profile, resolved, folder) or make_fresh_lock(resolved)


def require_lock_of_roots(profile: str, resolved: Resolved) -> Lock:
    """Find a lock of the private roots, or make one and keep it: a machine keeps what it has.

    It is the profile's own, which may be that of its image, or the last one that was made.
    """
    own = lock_beside(profile, resolved)
    kept = session.cache_folder() / "locks" / f"{resolved.name}.lock"
    for path in (own, kept):
        if path.exists():
            lock = read_lock(path)
            if has_roots(lock, resolved, tools_wanted()):
                return lock
            if path == own:
                raise LockMistake(
                    f"the profile asks for other private roots than `{own}` holds",
                    hint=f"build-image lock --update {profile}",
                )
    lock = make_fresh_lock(replace(resolved, components=_with_roots(resolved), packages=()))
    write_lock(lock, kept)
    return lock


def _with_roots(resolved: Resolved) -> tuple[ResolvedComponent, ...]:
    return tuple(each for each in resolved.components if each.manifest.private_root is not None)


def read_lock(path: Path) -> Lock:
    """Read a lock; a damaged one is a mistake with a way out."""
    try:
        return parse_lock(path.read_bytes(), str(path))
    except MalformedLock as error:
        raise LockMistake(str(error), hint="make it afresh: build-image lock --update") from error


def write_lock(lock: Lock, path: Path) -> None:
    """Write a lock, whole or not at all."""
    path.parent.mkdir(parents=True, exist_ok=True)
    arriving = path.with_name(f".{path.name}.arriving")
    arriving.write_text(format_lock(lock), encoding="utf-8")
    arriving.replace(path)


def make_fresh_lock(resolved: Resolved) -> Lock:
    """Ask apt for what is current."""
    from gnoppix_build.effects.apt import host_mirrors, make_lock

    for warning in host_mirrors(resolved.mirror).warnings:
        click.echo(f"warning: {warning}", err=True)
    wanted = wanted_packages(resolved)
    packages = make_lock(
        suite=resolved.suite,
        areas=resolved.areas,
        architecture=resolved.architecture,
        mirror=resolved.mirror,
        base=wanted.base,
        packages=wanted.packages,
        tools=tools_wanted(),
        cache=session.cache_folder() / "apt",
        private_roots=wanted_roots(resolved),
    )
    return replace(packages, models=wanted_models(resolved))
