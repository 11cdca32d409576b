# SPDX-License-Identifier: GPL-3.0-or-later
"""`build-image lock`."""

from pathlib import Path

import click

from gnoppix_build.cli.options import components_option, profile_argument


@click.command()
@profile_argument
@components_option
@click.option("--update", is_flag=True, help="Replace a lock that is there.")
@click.option(
    "-o",
    "--output",
    "file",
    type=click.Path(dir_okay=False, path_type=Path),
    help="Where to write (default: beside the profile).",
)
def verb(profile: str, folders: tuple[Path, ...], file: Path | None, *, update: bool) -> None:
    """Write down exactly which Debian packages an image is made of.

    Needs no root. Later builds use these very packages, until the lock is updated.
    """
    from gnoppix_build.cli import locks, session

    resolved = session.require_profile(profile, folders)
    path = file or locks.lock_beside(profile, resolved)
    if path.exists() and not update:
        raise click.UsageError(f"`{path}` is there already; --update replaces it")
    lock = locks.make_fresh_lock(resolved)
    locks.write_lock(lock, path)
    count = len(lock.base.packages) + len(lock.packages.packages)
    click.echo(f"{path}: {count} packages, {len(lock.tools.packages)} of tools", err=True)
