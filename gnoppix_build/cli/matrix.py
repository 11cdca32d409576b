# SPDX-License-Identifier: GPL-3.0-or-later
"""What `matrix` lists: the images of several profiles."""

from collections.abc import Iterable, Sequence
from pathlib import Path

import click

from gnoppix_build.cli import locks, session
from gnoppix_build.cli.build import make_plan_of
from gnoppix_build.report.matrix import ImageBuild
from gnoppix_build.resolve.model import Resolved


def list_builds(
    profiles: Sequence[str], folders: tuple[Path, ...], *, with_locks: bool
) -> tuple[ImageBuild, ...]:
    """Resolve the profiles and name their images; the mistakes of all are told together."""
    wanted = tuple(dict.fromkeys(profiles))
    resolved = session.require_profiles(wanted, folders)
    named = tuple(zip(wanted, resolved, strict=True))
    _refuse_equal_names(named)
    return tuple(
        _describe(profile, folders, each, with_locks=with_locks) for profile, each in named
    )


def _refuse_equal_names(named: Iterable[tuple[str, Resolved]]) -> None:
    taken: dict[str, str] = {}
    for profile, resolved in named:
        if (other := taken.setdefault(resolved.name, profile)) != profile:
            raise click.UsageError(
                f"`{other}` and `{profile}` are both named `{resolved.name}`, "
                "and the results of one would lie over those of the other"
            )


def _describe(
    profile: str, folders: tuple[Path, ...], resolved: Resolved, *, with_locks: bool
) -> ImageBuild:
    place = locks.lock_of_build(None, resolved)
    lock = locks.find_lock(profile, resolved, None)
    if with_locks:
        lock = lock or locks.make_fresh_lock(resolved)
        locks.write_lock(lock, place)
    plan = make_plan_of(profile, folders, resolved, lock) if lock else None
    folder = Path("out") / resolved.name
    return ImageBuild(
        profile=profile,
        name=resolved.name,
        output="iso",
        folder=str(folder),
        image=str(folder / f"{resolved.name}.iso"),
        lock=str(folder / place.name) if with_locks else None,
        digest=plan.steps[-1].digest if plan else None,
    )
