# SPDX-License-Identifier: GPL-3.0-or-later
"""The arguments that several verbs take."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import click


def read_size(context: click.Context, option: click.Parameter, text: str | None) -> int | None:
    """Read a size as a profile writes it, in bytes; a callback of an option."""
    from pydantic import TypeAdapter, ValidationError

    from gnoppix_build.language.leaves import Size

    if text is None:
        return None
    try:
        size: int = TypeAdapter(Size).validate_python(text)
    except ValidationError:
        message = f"`{text}` is no size: write it as in `8 GiB`"
        raise click.BadParameter(message, context, option) from None
    return size


type_of_folder = click.Path(exists=True, file_okay=False, path_type=Path)

Decorator = Callable[[Callable[..., Any]], Callable[..., Any]]

profile_argument: Decorator = click.argument("profile", metavar="PROFILE")
components_option: Decorator = click.option(
    "--components",
    "folders",
    multiple=True,
    type=type_of_folder,
    metavar="DIR",
    help="A folder of components of your own; may be given several times.",
)
format_option: Decorator = click.option(
    "--format",
    "form",
    type=click.Choice(["text", "json"]),
    default="text",
    show_default=True,
    help="For people or for programs.",
)
target_option: Decorator = click.option(
    "--target",
    type=click.Choice(["image", "machine"]),
    default="image",
    show_default=True,
    help="What the profile is for.",
)
result_option: Decorator = click.option(
    "-o",
    "--output",
    "folder",
    type=click.Path(file_okay=False, path_type=Path),
    metavar="DIR",
    help="The result folder (default: out/PROFILE).",
)
lock_option: Decorator = click.option(
    "--lock",
    "lock_file",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    metavar="FILE",
    help="The lock to use, as `matrix --lock` makes it (default: the profile's, else the last "
    "build's, else a new one).",
)
hosts_option: Decorator = click.option(
    "--host",
    "hosts",
    metavar="HOST",
    multiple=True,
    required=True,
    help="`local` or `ssh://[USER@]HOST[:PORT]`; may be given several times.",
)
ssh_configuration_option: Decorator = click.option(
    "--ssh-config",
    "ssh_configuration",
    type=click.Path(exists=True, dir_okay=False, path_type=Path, resolve_path=True),
    metavar="FILE",
    help="The ssh_config(5) to use in place of your own.",
)
