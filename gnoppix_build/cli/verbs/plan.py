# SPDX-License-Identifier: GPL-3.0-or-later
"""`build-image plan`."""

from pathlib import Path

import click

from gnoppix_build.cli.options import (
    components_option,
    format_option,
    lock_option,
    profile_argument,
    result_option,
)


@click.command()
@profile_argument
@components_option
@result_option
@lock_option
@format_option
def verb(
    profile: str, folders: tuple[Path, ...], folder: Path | None, lock_file: Path | None, form: str
) -> None:
    """List the steps that would make an image, each with its reason and digest."""
    from gnoppix_build.cli import locks, session
    from gnoppix_build.cli.build import make_plan_of

    resolved = session.require_profile(profile, folders)
    lock = locks.require_lock(profile, resolved, folder, lock_file)
    plan = make_plan_of(profile, folders, resolved, lock)
    if form == "json":
        steps = [
            {
                "id": step.id,
                "type": type(step.action).__name__,
                "reason": step.reason,
                "digest": step.digest,
                "inputs": dict(step.inputs),
            }
            for step in plan.steps
        ]
        session.show_json({"profile": plan.profile, "epoch": plan.epoch, "steps": steps})
        return
    for step in plan.steps:
        click.echo(f"{step.digest[:12]}  {step.id:<20} {step.reason}")
