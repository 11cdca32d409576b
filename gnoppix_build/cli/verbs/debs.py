# SPDX-License-Identifier: GPL-3.0-or-later
"""`build-image debs`."""

import os
from pathlib import Path

import click

from gnoppix_build.cli.options import components_option, profile_argument

FIRST_OF_2026 = 1767225600
LAST_OF_9999 = 253402300799


@click.command()
@profile_argument
@components_option
@click.option(
    "-o",
    "--output",
    "folder",
    required=True,
    type=click.Path(file_okay=False, path_type=Path),
    metavar="DIR",
    help="The repository to write; what it has and is still the same keeps its version.",
)
@click.option(
    "--key",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    metavar="FILE",
    help="An OpenPGP secret key that signs the repository.",
)
@click.option(
    "--maintainer",
    default="gnoppix-build <gnoppix-build@gnoppix-build.invalid>",
    show_default=True,
    metavar="TEXT",
    help="Who answers for the packages, as in `A Name <a.name@example.org>`.",
)
def verb(
    profile: str, folders: tuple[Path, ...], folder: Path, key: Path | None, maintainer: str
) -> None:
    """Make Debian packages of a profile's configuration, for machines that are there already.

    There is one package a component, and one that wants them all. The folder is a repository for
    apt. Files are dated by SOURCE_DATE_EPOCH, else by the profile's lock; the same profile gives
    the same packages.
    """
    from gnoppix_build import __version__
    from gnoppix_build.app.assembly import render_profile
    from gnoppix_build.app.debs import package_profile
    from gnoppix_build.cli import locks, session
    from gnoppix_build.effects.debs import read_repository, write_repository
    from gnoppix_build.outputs.debs.compose import check_packages

    resolved = session.require_profile(profile, folders, "machine")
    reader = session.make_reader(profile, folders)
    if mistakes := tuple(check_packages(resolved, reader)):
        session.show_diagnostics(mistakes, {})
        raise click.exceptions.Exit(session.PROFILE_MISTAKES)
    tree = render_profile(resolved, None, session.data_folder("playbooks"), reader)
    published = read_repository(folder, resolved.name)
    packages = package_profile(resolved, tree, reader, published, __version__)
    epoch = _wanted_epoch()
    if epoch is None:
        epoch = locks.epoch_beside(profile, resolved) or FIRST_OF_2026
    write_repository(
        packages,
        folder,
        published.values(),
        profile=resolved.name,
        maintainer=maintainer,
        epoch=epoch,
        key=key,
    )
    for package in packages:
        click.echo(f"{package.content.name} {package.version}")
    if not published:
        click.echo(
            f"note: `{folder}` had no packages of `{resolved.name}`: their versions begin with "
            f"{packages[0].version}, and a machine that has these from elsewhere takes no change",
            err=True,
        )
    if key is None:
        click.echo(f"note: `{folder}` is not signed: --key FILE signs it", err=True)


def _wanted_epoch() -> int | None:
    """Read SOURCE_DATE_EPOCH; none if it is not set. Source: its specification."""
    text = os.environ.get("SOURCE_DATE_EPOCH", "")
    if not text:
        return None
    if not (text.isascii() and text.isdecimal() and int(text) <= LAST_OF_9999):
        raise click.UsageError(f"SOURCE_DATE_EPOCH is `{text}`: write seconds since 1970")
    return int(text)
