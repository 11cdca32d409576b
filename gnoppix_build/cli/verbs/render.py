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
@click.option(
    "--payload",
    "with_payload",
    is_flag=True,
    help="For a machine: make its private roots and fetch its models, too.",
)
def verb(
    profile: str, folders: tuple[Path, ...], target: str, folder: Path, *, with_payload: bool
) -> None:
    """Write the package lists, configuration files and playbooks that a profile becomes.

    With `--payload` the tree for a machine has all that `provision` brings: private roots and
    models lie in `project/payload`. To make a private root needs root, unless the store has it.
    """
    from gnoppix_build.app.assembly import render_profile
    from gnoppix_build.cli import locks, session
    from gnoppix_build.cli.payloads import require_payloads
    from gnoppix_build.effects.payloads import write_payloads
    from gnoppix_build.effects.workshop import write_tree
    from gnoppix_build.render.payloads import payloads_of

    resolved = session.require_profile(
        profile, folders, "machine" if target == "machine" else "image"
    )
    if folder.exists():
        raise click.UsageError(f"`{folder}` is there already")
    if with_payload and target != "machine":
        raise click.UsageError("`--payload` is for `--target machine`: an image has layers")
    payloads = require_payloads(profile, resolved) if with_payload else {}
    lock = locks.find_lock(profile, resolved, None) if target == "image" else None
    reader = session.make_reader(profile, folders)
    tree = render_profile(resolved, lock, session.data_folder("playbooks"), reader)
    write_tree(tree.files, folder)
    write_payloads(payloads, folder)
    click.echo(f"{folder}: {len(tree.files)} files", err=True)
    lacking = [path for each in resolved.components for path in payloads_of(each)]
    if target == "machine" and lacking and not with_payload:
        click.echo(f"note: `--payload` brings what it lacks: {', '.join(lacking)}", err=True)
