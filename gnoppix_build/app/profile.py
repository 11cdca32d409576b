# SPDX-License-Identifier: GPL-3.0-or-later
"""Profiles and components, from their folders to everything decided."""

from collections.abc import Sequence
from pathlib import Path
from typing import Protocol

from gnoppix_build.catalog.load import COMPONENTS_FOLDER, Catalog, load_catalog
from gnoppix_build.language.source import SourceReader
from gnoppix_build.render.configuration import render_files
from gnoppix_build.render.last_words import check_last_words
from gnoppix_build.render.paths import check_paths
from gnoppix_build.render.sources import ComponentReader
from gnoppix_build.resolve.model import Target
from gnoppix_build.resolve.resolve import Resolution, resolve, sort_diagnostics


class FolderReader(SourceReader, ComponentReader, Protocol):
    """Reads profiles, and the folders of components."""


def load_shipped_catalog(folders: Sequence[Path], reader: SourceReader) -> Catalog:
    """Load the shipped components and those in the folders."""
    return load_catalog((COMPONENTS_FOLDER, *folders), reader)


def load_profile(
    profile: str,
    folders: Sequence[Path],
    reader: FolderReader,
    target: Target,
    profiles: Sequence[Path],
) -> Resolution:
    """Resolve a profile, given by path or by the name of one in `profiles`.

    It is rendered as well, to find paths that two components bring, and files that would undo
    what is compiled.
    """
    catalog = load_shipped_catalog(folders, reader)
    resolution = resolve(profile, catalog, reader, target, profiles)
    if resolution.resolved is None:
        return resolution
    files = tuple(render_files(resolution.resolved, reader))
    found = [
        diagnostic
        for check in (check_paths, check_last_words)
        for diagnostic in check(resolution.resolved, files, reader)
    ]
    return Resolution(
        resolved=None if found else resolution.resolved,
        diagnostics=sort_diagnostics((*resolution.diagnostics, *found)),
        sources=resolution.sources,
    )
