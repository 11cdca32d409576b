# SPDX-License-Identifier: GPL-3.0-or-later
"""`build-image catalog`."""

from pathlib import Path

import click

from gnoppix_build.cli.options import components_option, format_option


@click.command()
@components_option
@click.option("--kind", help="Only components of this kind.")
@format_option
def verb(folders: tuple[Path, ...], kind: str | None, form: str) -> None:
    """List the components that a profile can use, with their options."""
    from gnoppix_build.cli import session

    catalog = session.require_catalog(folders)
    found = [
        component
        for component in catalog.components.values()
        if kind in (None, component.manifest.kind)
    ]
    if form == "json":
        session.show_json(
            {
                "components": [
                    {"name": each.name, **each.manifest.model_dump(mode="json", by_alias=True)}
                    for each in found
                ]
            }
        )
        return
    for component in found:
        manifest = component.manifest
        click.echo(f"{component.name} ({manifest.kind}): {manifest.summary}")
        for name, option in manifest.options.items():
            default = (
                option.default if isinstance(option.default, str) else " ".join(option.default)
            )
            click.echo(f"    {name}: {option.type}, default {default}: {option.doc}")
