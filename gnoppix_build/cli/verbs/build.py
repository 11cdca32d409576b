# SPDX-License-Identifier: GPL-3.0-or-later
"""`build-image build`."""

from pathlib import Path

import click

from gnoppix_build.cli.options import (
    components_option,
    lock_option,
    profile_argument,
    result_option,
)


@click.command()
@profile_argument
@components_option
@result_option
@lock_option
@click.option("--dry-run", is_flag=True, help="Only list the steps, as `plan` does.")
@click.option(
    "--attempt",
    type=click.IntRange(min=1),
    metavar="N",
    help="Where a build may be started again: which start this is. An earlier one that still "
    "runs cannot overwrite its results (default: the next).",
)
def verb(
    *,
    profile: str,
    folders: tuple[Path, ...],
    folder: Path | None,
    lock_file: Path | None,
    attempt: int | None,
    dry_run: bool,
) -> None:
    """Make the profile's image: a hybrid live ISO, in out/PROFILE.

    Only what changed since the last build is made anew. Beside the ISO lie its lock, the list of
    its packages, the steps that made it, their logs, and SHA256SUMS. Needs root.
    """
    from gnoppix_build.app.build import carry_out
    from gnoppix_build.app.results import describe_build
    from gnoppix_build.cli import locks, session
    from gnoppix_build.cli.build import make_plan_of, open_workshop, require_host
    from gnoppix_build.cli.progress import LineProgress
    from gnoppix_build.effects.attempts import claim_folder
    from gnoppix_build.effects.results import publish

    resolved = session.require_profile(profile, folders)
    if dry_run:
        lock = locks.require_lock(profile, resolved, folder, lock_file)
        for step in make_plan_of(profile, folders, resolved, lock).steps:
            click.echo(f"{step.digest[:12]}  {step.id:<20} {step.reason}")
        return
    require_host()
    lock = locks.require_lock(profile, resolved, folder, lock_file)
    plan = make_plan_of(profile, folders, resolved, lock)
    progress = LineProgress()
    result = locks.result_folder(folder, resolved)
    with open_workshop(plan, resolved) as workshop:
        claim = claim_folder(result, attempt)
        made = carry_out(plan, workshop, progress)
        logs = {f"logs/{log.name}": log for log in workshop.logs()}
        sizes = {step: path.stat().st_size for step, path in made.items()}
        texts = describe_build(plan, lock, progress.outcomes(), sizes)
        publish(result, {f"{plan.profile}.iso": made[plan.steps[-1].id], **texts, **logs}, claim)
    click.echo(str(result / f"{plan.profile}.iso"))
