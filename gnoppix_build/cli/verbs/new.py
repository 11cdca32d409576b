# SPDX-License-Identifier: GPL-3.0-or-later
"""`build-image new`."""

from pathlib import Path

import click


@click.command()
@click.argument("name")
@click.option(
    "-o",
    "--output",
    "folder",
    type=click.Path(file_okay=False, path_type=Path),
    default=Path(),
    help="Where to write (default: here).",
)
def verb(name: str, folder: Path) -> int:
    """Write NAME.yaml to start from, and the schema that lets an editor check it."""
    import json

    from gnoppix_build.cli import session
    from gnoppix_build.language import decode, parse
    from gnoppix_build.profile import Profile, new_profile_text
    from gnoppix_build.profile.new import SCHEMA_FILE
    from gnoppix_build.resolve.schema import profile_schema

    text = new_profile_text(name)
    document = parse(text, f"{name}.yaml")
    mistakes = document.diagnostics
    if document.root is not None:
        mistakes = decode(document.root, Profile).diagnostics
    if mistakes:
        session.show_diagnostics(mistakes, {document.name: text})
        return session.PROFILE_MISTAKES
    path = folder / f"{name}.yaml"
    schema = json.dumps(profile_schema(session.require_catalog(())), indent=2)
    folder.mkdir(parents=True, exist_ok=True)
    try:
        with path.open("x", encoding="utf-8") as file:
            file.write(text)
    except FileExistsError as error:
        raise click.UsageError(f"`{path}` is there already") from error
    (folder / SCHEMA_FILE).write_text(schema + "\n", encoding="utf-8")
    click.echo(f"{path}: written; next: build-image validate {path}", err=True)
    return 0
