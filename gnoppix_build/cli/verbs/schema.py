# SPDX-License-Identifier: GPL-3.0-or-later
"""`build-image schema`."""

from pathlib import Path

import click

from gnoppix_build.cli.options import components_option


@click.command()
@click.argument("what", type=click.Choice(["profile", "component"]), default="profile")
@components_option
def verb(what: str, folders: tuple[Path, ...]) -> None:
    """Print the JSON Schema of profiles or of components, for editors."""
    import json

    from gnoppix_build.cli import session
    from gnoppix_build.resolve.schema import component_schema, profile_schema

    if what == "component":
        schema = component_schema()
    else:
        schema = profile_schema(session.require_catalog(folders))
    click.echo(json.dumps(schema, indent=2))
