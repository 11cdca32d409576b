# SPDX-License-Identifier: GPL-3.0-or-later
"""`build-image render`."""

from pathlib import Path

import click

from gnoppix_build.cli.options import components_option, profile_argument, target_option


@click.command()
@profile_argument
@components_option
@target_option
@click.option(
    "-o",
    "--output",
    "folder",
    required=True,
    type=click.Path(file_okay=False, path_type=Path),
    help="The folder to write; it must not exist.",
)
def verb(profile: str, folders: tuple[Path, ...], target: str, folder: Path) -> None:
    """Write the package lists, configuration files and playbooks that a profile becomes."""
    from gnoppix_build.app.assembly import render_profile
    from gnoppix_build.cli import locks, session
    from gnoppix_build.effects.workshop import write_tree

    resolved = session.require_profile(
        profile, folders, "machine" if target == "machine" else "image"
    )
    if folder.exists():
        raise click.UsageError(f"`{folder}` is there already")
    lock = locks.find_lock(profile, resolved, None) if target == "image" else None
    reader = session.make_reader(profile, folders)
    tree = render_profile(resolved, lock, session.data_folder("playbooks"), reader)
    write_tree(tree.files, folder)
    click.echo(f"{folder}: {len(tree.files)} files", err=True)
