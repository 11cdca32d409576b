# SPDX-License-Identifier: GPL-3.0-or-later
"""The lock: exactly which .debs make an image, and the epoch that dates every file in it."""

from dataclasses import dataclass

from gnoppix_build.catalog.model import ModelSource
from gnoppix_build.language.leaves import Count, KebabName, Sha256


@dataclass(frozen=True, slots=True)
class Package:
    """One .deb as the archive names it; `path` is its pool path below a mirror's root."""

    name: str
    version: str
    architecture: str
    size: int
    sha256: str
    path: str


@dataclass(frozen=True, slots=True)
class Release:
    """A suite's InRelease at locking time: information, never a cause for refusal."""

    suite: str
    sha256: str


@dataclass(frozen=True, slots=True)
class PackageSet:
    """The closed set of packages of one root: what was asked for and what apt chose.

    For `packages` (the layer above `base`) it holds only what `base` does not.
    """

    wanted: tuple[str, ...]
    packages: tuple[Package, ...]


@dataclass(frozen=True, slots=True)
class LockedRoot:
    """The packages of a component's private root, with the suite that they are of."""

    component: str
    suite: str
    packages: tuple[Package, ...]


@dataclass(frozen=True, slots=True)
class LockedModel:
    """A language model by the component that declares it; `size` in bytes."""

    name: KebabName
    size: Count
    sha256: Sha256
    source: ModelSource


@dataclass(frozen=True, slots=True)
class Lock:
    """All that a build takes from outside. `epoch` is SOURCE_DATE_EPOCH in seconds."""

    suite: str
    architecture: str
    epoch: int
    releases: tuple[Release, ...]
    base: PackageSet
    packages: PackageSet
    tools: PackageSet
    private_roots: tuple[LockedRoot, ...] = ()
    models: tuple[LockedModel, ...] = ()
