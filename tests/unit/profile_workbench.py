# SPDX-License-Identifier: GPL-3.0-or-later
"""Profiles and components of the tests, resolved from text."""

from collections.abc import Mapping
from functools import cache
from pathlib import Path

from gnoppix_build.catalog.load import COMPONENTS_FOLDER, Catalog, load_catalog
from gnoppix_build.diagnostics import format_diagnostic
from gnoppix_build.effects.sources import SourceFolders
from gnoppix_build.language.source import PACKAGE_FOLDER, Unreadable
from gnoppix_build.resolve.model import Target
from gnoppix_build.resolve.resolve import Resolution, resolve

MISTAKES = Path(__file__).parents[1] / "golden" / "mistakes"
COMPONENTS = MISTAKES / "components"


class WrittenSources:
    """A reader of texts given by path, in which every folder is flat."""

    def __init__(self, texts: Mapping[str, str]) -> None:
        self._texts = {Path(path): text for path, text in texts.items()}

    def read(self, path: Path) -> bytes | Unreadable:
        text = self._texts.get(path)
        if text is None:
            return Unreadable("does not exist", is_missing=True)
        return text.encode("utf-8", "surrogatepass")

    def folders(self, path: Path) -> tuple[str, ...]:
        below = (each.relative_to(path) for each in self._texts if each.is_relative_to(path))
        return tuple(sorted({each.parts[0] for each in below if len(each.parts) > 1}))

    def files(self, path: Path) -> tuple[str, ...]:
        return tuple(sorted(each.name for each in self._texts if each.parent == path))


class ShippedFeatures(SourceFolders):
    """A reader of the package's own data in which it has no components."""

    def folders(self, path: Path) -> tuple[str, ...]:
        return () if path == COMPONENTS_FOLDER else super().folders(path)


@cache
def load_test_catalog() -> Catalog:
    """Load the components beside the golden profiles, and the shipped features."""
    return load_catalog(
        [COMPONENTS_FOLDER, COMPONENTS], ShippedFeatures([MISTAKES, PACKAGE_FOLDER])
    )


def resolve_texts(
    texts: Mapping[str, str], profile: str = "p/top.yaml", target: Target = "image"
) -> Resolution:
    """Resolve a profile among texts with the components beside the golden profiles."""
    return resolve(profile, load_test_catalog(), WrittenSources(texts), target)


def printed(resolution: Resolution) -> str:
    """Print a resolution's diagnostics the way the command does."""
    return "\n".join(format_diagnostic(each, resolution.sources) for each in resolution.diagnostics)
