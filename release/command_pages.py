# SPDX-License-Identifier: GPL-3.0-or-later
"""Man pages of the command and of each verb, from what Click knows of them."""

from collections.abc import Iterator

import click
import roff

from gnoppix_build import __version__
from gnoppix_build.cli import build_image

RELEASE = f"gnoppix-build {__version__}"
MANUAL = "User Commands"
COMMAND = "build-image"
FORMATS = ("gnoppix-profile(5)", "gnoppix-component(5)")
CACHE = (
    "The folder of all that is kept between two builds, in place of `~/.cache/gnoppix-build`. "
    "It can be deleted at any time."
)
ENVIRONMENT = (("GNOPPIX_BUILD_CACHE", CACHE),)


def command_pages() -> Iterator[tuple[str, str]]:
    """Give each page: file name, text."""
    context = click.Context(build_image, info_name=COMMAND)
    verbs = {name: build_image.get_command(context, name) for name in _verbs(context)}
    found = {name: verb for name, verb in verbs.items() if verb is not None and not verb.hidden}
    yield f"{COMMAND}.1", _command_page(context, found)
    for name, verb in found.items():
        yield f"{COMMAND}-{name}.1", _verb_page(name, verb, context)


def _verbs(context: click.Context) -> list[str]:
    return build_image.list_commands(context)


def _command_page(context: click.Context, verbs: dict[str, click.Command]) -> str:
    summary, description = _split(build_image)
    return roff.page(
        COMMAND,
        1,
        RELEASE,
        MANUAL,
        (
            roff.heading("NAME", roff.name_line(COMMAND, summary)),
            roff.heading("SYNOPSIS", _usage(build_image, context)),
            roff.heading("DESCRIPTION", roff.paragraphs(description)),
            roff.heading("OPTIONS", roff.terms(_options(build_image, context))),
            roff.heading(
                "VERBS",
                roff.terms(
                    [(f"{COMMAND}-{name}(1)", _split(verb)[0]) for name, verb in verbs.items()]
                ),
            ),
            roff.heading("ENVIRONMENT", roff.terms(ENVIRONMENT)),
            roff.heading("SEE ALSO", roff.paragraphs(", ".join(FORMATS))),
        ),
    )


def _verb_page(name: str, verb: click.Command, parent: click.Context) -> str:
    context = click.Context(verb, info_name=name, parent=parent)
    summary, description = _split(verb)
    return roff.page(
        f"{COMMAND}-{name}",
        1,
        RELEASE,
        MANUAL,
        (
            roff.heading("NAME", roff.name_line(f"{COMMAND}-{name}", summary)),
            roff.heading("SYNOPSIS", _usage(verb, context)),
            roff.heading("DESCRIPTION", roff.paragraphs(description or summary)),
            roff.heading("OPTIONS", roff.terms(_options(verb, context))),
            roff.heading("SEE ALSO", roff.paragraphs(", ".join((f"{COMMAND}(1)", *FORMATS)))),
        ),
    )


def _split(command: click.Command) -> tuple[str, str]:
    """Give the first sentence of a command's help, without its full stop, and the rest."""
    first, _, rest = (command.help or "").partition("\n\n")
    summary, stop, more = " ".join(first.split()).partition(". ")
    return summary.rstrip("."), "\n\n".join(each for each in (more if stop else "", rest) if each)


def _usage(command: click.Command, context: click.Context) -> str:
    pieces = " ".join(command.collect_usage_pieces(context))
    return f"\\fB{roff.escape(context.command_path)}\\fR {roff.escape(pieces)}"


def _options(command: click.Command, context: click.Context) -> list[tuple[str, str]]:
    records = (each.get_help_record(context) for each in command.get_params(context))
    return [record for record in records if record is not None and record[1]]
