# SPDX-License-Identifier: GPL-3.0-or-later
"""`build-image catalog`."""

from pathlib import Path

import click

from gnoppix_build.cli.options import components_option, format_option, read_size


@click.command()
@click.argument("names", metavar="[NAME]...", nargs=-1)
@components_option
@click.option("--kind", help="Only components of this kind.")
@click.option(
    "--fits",
    "memory",
    callback=read_size,
    metavar="SIZE",
    help="Only models, with the memory that each needs, and which of them a machine can hold.",
)
@click.option(
    "--pages",
    "pages",
    type=click.Path(file_okay=False, path_type=Path),
    metavar="DIR",
    help="Write a Markdown page a component, and their index, into this folder instead.",
)
@format_option
def verb(
    names: tuple[str, ...],
    folders: tuple[Path, ...],
    kind: str | None,
    memory: int | None,
    pages: Path | None,
    form: str,
) -> None:
    """Tell what components there are: options, network, sandboxes, checks. NAME shows only those.

    With `--format json` each component is its manifest and its checks.
    """
    from gnoppix_build.catalog.fit import fit_models
    from gnoppix_build.cli import session
    from gnoppix_build.report.catalog_json import catalog_document
    from gnoppix_build.report.catalog_page import catalog_pages
    from gnoppix_build.report.catalog_text import catalog_text
    from gnoppix_build.report.fit import fit_document, fit_text

    found = [
        described
        for described in session.describe_catalog(names, folders)
        if kind in {None, described.component.manifest.kind}
    ]
    if memory is not None:
        fits = fit_models({each.component.name: each.component.manifest for each in found}, memory)
        if form == "json":
            session.show_json(fit_document(fits, memory))
        else:
            click.echo(fit_text(fits, memory), nl=False)
    elif pages is not None:
        pages.mkdir(parents=True, exist_ok=True)
        for name, text in catalog_pages(found).items():
            (pages / name).write_text(text, encoding="utf-8")
        click.echo(f"{pages}: {len(found)} pages and their index", err=True)
    elif form == "json":
        session.show_json(catalog_document(found))
    else:
        click.echo(catalog_text(found), nl=False)
