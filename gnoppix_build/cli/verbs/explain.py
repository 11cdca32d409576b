# SPDX-License-Identifier: GPL-3.0-or-later
"""`build-image explain`."""

from dataclasses import asdict
from pathlib import Path

import click

from gnoppix_build.cli.options import (
    components_option,
    format_option,
    profile_argument,
    target_option,
)


@click.command()
@profile_argument
@components_option
@target_option
@format_option
def verb(profile: str, folders: tuple[Path, ...], target: str, form: str) -> None:
    """Tell what a profile decides: each component, each option, and the places that decided it."""
    from gnoppix_build.catalog.model import spell_need
    from gnoppix_build.cli import session
    from gnoppix_build.resolve.model import spell
    from gnoppix_build.resolve.models import find_models

    resolved = session.require_profile(
        profile, folders, "machine" if target == "machine" else "image"
    )
    needs = {model.name: model.need for model in find_models(resolved.components)}
    if form == "json":
        session.show_json(
            {
                "profile": resolved.name,
                "components": [
                    {
                        "name": each.name,
                        "reason": each.reason,
                        "options": {key: spell(value) for key, value in each.options.items()},
                        **({"memory": asdict(needs[each.name])} if each.name in needs else {}),
                    }
                    for each in resolved.components
                ],
            }
        )
        return
    for component in resolved.components:
        click.echo(f"{component.name}: {component.manifest.summary}")
        click.echo(f"    {component.reason}")
        if model := component.manifest.model:
            click.echo(f"    {spell_need(needs[component.name])}; licence: {model.licence}")
        for name, value in component.options.items():
            click.echo(f"    {name} = {spell(value)}")
            for definition in component.definitions.get(name, ()):
                place = f"{definition.span.file}:{definition.span.line}:{definition.span.column}"
                click.echo(f"        {place}: {definition.value}")
