# SPDX-License-Identifier: GPL-3.0-or-later
"""Profiles and components, from their folders to everything decided."""

from collections.abc import Sequence
from pathlib import Path

from gnoppix_build.catalog.load import COMPONENTS_FOLDER, Catalog, load_catalog
from gnoppix_build.language.source import SourceReader
from gnoppix_build.resolve.model import Target
from gnoppix_build.resolve.resolve import Resolution, resolve


def load_shipped_catalog(folders: Sequence[Path], reader: SourceReader) -> Catalog:
    """Load the shipped components and those in the folders."""
    return load_catalog((COMPONENTS_FOLDER, *folders), reader)


def load_profile(
    profile: str,
    folders: Sequence[Path],
    reader: SourceReader,
    target: Target,
    profiles: Sequence[Path],
) -> Resolution:
    """Resolve a profile, given by path or by the name of one in `profiles`."""
    return resolve(profile, load_shipped_catalog(folders, reader), reader, target, profiles)
