# SPDX-License-Identifier: GPL-3.0-or-later
"""What the verbs share: a profile from its name to everything decided, and where things lie."""

import json
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import click

from gnoppix_build.app.profile import load_profile, load_shipped_catalog
from gnoppix_build.catalog.load import Catalog
from gnoppix_build.diagnostics import Diagnostic, format_diagnostic
from gnoppix_build.effects.sources import SourceFolders
from gnoppix_build.language.source import PACKAGE_FOLDER
from gnoppix_build.language.suggestion import did_you_mean
from gnoppix_build.report.component import DescribedComponent, describe_component
from gnoppix_build.resolve.model import Resolved, Target
from gnoppix_build.resolve.resolve import Resolution

PROFILE_MISTAKES = 3
FORMAT_VERSION = 1


def data_folder(name: str) -> Path:
    """Find `profiles` or `playbooks`: beside the package in a checkout, in it when installed."""
    beside = PACKAGE_FOLDER.parent / name
    inside = PACKAGE_FOLDER / name
    return inside if inside.is_dir() else beside


def cache_folder() -> Path:
    """Give the folder of the store, the pool and the package lists. Source: XDG basedir."""
    own = os.environ.get("GNOPPIX_BUILD_CACHE")
    home = os.environ.get("XDG_CACHE_HOME") or str(Path.home() / ".cache")
    return Path(own or Path(home) / "gnoppix-build").absolute()


def make_reader(profile: str, folders: Sequence[Path]) -> SourceFolders:
    """Make a reader that sees the tool's own files, the profile's folder and these folders."""
    roots = [PACKAGE_FOLDER, data_folder("profiles"), data_folder("playbooks"), *folders]
    if is_path(profile):
        roots.append(Path(profile).parent)
    return SourceFolders(roots)


def is_path(profile: str) -> bool:
    """Tell a profile's path from a name."""
    return "/" in profile or profile.endswith(".yaml")


def resolve_profile(profile: str, folders: Sequence[Path], target: Target) -> Resolution:
    """Resolve without judging."""
    reader = make_reader(profile, folders)
    return load_profile(profile, folders, reader, target, (data_folder("profiles"),))


def require_profile(profile: str, folders: Sequence[Path], target: Target = "image") -> Resolved:
    """Resolve; mistakes are told and end the command."""
    return require_resolved(resolve_profile(profile, folders, target))


def require_resolved(resolution: Resolution) -> Resolved:
    """Tell what resolving found; mistakes end the command."""
    show_diagnostics(resolution.diagnostics, resolution.sources)
    if resolution.resolved is None:
        raise click.exceptions.Exit(PROFILE_MISTAKES)
    for note in resolution.resolved.notes:
        click.echo(f"note: {note}", err=True)
    return resolution.resolved


def require_profiles(profiles: Sequence[str], folders: Sequence[Path]) -> tuple[Resolved, ...]:
    """Resolve several profiles; the mistakes of all of them are told, and end the command."""
    found = []
    mistaken = False
    for profile in profiles:
        try:
            found.append(require_profile(profile, folders))
        except click.exceptions.Exit:
            mistaken = True
    if mistaken:
        raise click.exceptions.Exit(PROFILE_MISTAKES)
    return tuple(found)


def shipped_profiles() -> tuple[str, ...]:
    """Name the profiles that come with the tool."""
    return tuple(sorted(path.stem for path in data_folder("profiles").glob("*.yaml")))


def require_catalog(folders: Sequence[Path]) -> Catalog:
    """Load the components; mistakes are told and end the command."""
    catalog = load_shipped_catalog(folders, make_reader("", folders))
    show_diagnostics(catalog.diagnostics, catalog.sources)
    if any(each.severity == "error" for each in catalog.diagnostics):
        raise click.exceptions.Exit(PROFILE_MISTAKES)
    return catalog


def describe_catalog(
    names: Sequence[str], folders: Sequence[Path]
) -> tuple[DescribedComponent, ...]:
    """Read the components of these names, or all; a name that there is not ends the command."""
    components = require_catalog(folders).components
    for name in names:
        if name not in components:
            hint = did_you_mean(name, components)
            message = f"there is no component `{name}`"
            raise click.UsageError(f"{message}; {hint}" if hint else message)
    reader = make_reader("", folders)
    return tuple(describe_component(components[name], reader) for name in names or components)


def show_diagnostics(diagnostics: Sequence[Diagnostic], sources: Mapping[str, str]) -> None:
    """Print messages, with an empty line between them."""
    if diagnostics:
        texts = (format_diagnostic(each, sources) for each in diagnostics)
        click.echo("\n\n".join(texts), err=True)


def show_json(document: Mapping[str, Any]) -> None:
    """Print data for programs."""
    click.echo(json.dumps({"format_version": FORMAT_VERSION, **document}, indent=2))
