# SPDX-License-Identifier: GPL-3.0-or-later
"""A binary package as a value, before and after it has its version."""

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass

from gnoppix_build.render.tree import ImageFile


@dataclass(frozen=True, slots=True)
class Units:
    """The units that a package sets; `own` are those whose files it brings itself."""

    enable: tuple[str, ...] = ()
    disable: tuple[str, ...] = ()
    mask: tuple[str, ...] = ()
    own: frozenset[str] = frozenset()

    @property
    def preset(self) -> tuple[str, ...]:
        """The units whose state the package's preset decides."""
        return (*self.enable, *self.disable)

    @property
    def foreign(self) -> tuple[str, ...]:
        """Those of other packages, to be given back when the package goes."""
        return tuple(unit for unit in self.preset if unit not in self.own)


@dataclass(frozen=True, slots=True)
class Content:
    """What a package holds, whatever its version.

    `siblings` are packages of the same profile that it needs, `exact` tells whether in just the
    version that they have. `stands_for` is what a machine has one of. `scripts` maps the name of a
    maintainer script to its text.
    """

    name: str
    summary: str
    description: str
    files: tuple[ImageFile, ...]
    depends: tuple[str, ...]
    siblings: tuple[str, ...]
    exact: bool
    stands_for: str
    scripts: Mapping[str, str]

    @property
    def conffiles(self) -> tuple[str, ...]:
        """Its files that are a person's to change. Source: Debian policy, 10.7."""
        return tuple(file.path for file in self.files if file.path.startswith("/etc/"))


@dataclass(frozen=True, slots=True)
class Numbered:
    """A package with its version; `siblings` maps those it needs to the version that they have."""

    content: Content
    version: str
    digest: str
    siblings: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Published:
    """What a repository already has of a package; `archive` is the name of its file."""

    version: str
    digest: str
    archive: str


def number_packages(
    contents: Sequence[Content], published: Mapping[str, Published], tool_version: str
) -> tuple[Numbered, ...]:
    """Give each package its version: what holds the same as before keeps the one it has.

    `contents` are ordered, siblings first. A new version is the tool's, and a number that is one
    more than the repository's highest.
    """
    new = f"{tool_version}+{1 + max(map(_count, published.values()), default=0)}"
    versions: dict[str, str] = {}
    numbered = []
    for content in contents:
        siblings = {name: versions[name] for name in content.siblings}
        digest = _digest(content, siblings if content.exact else {})
        before = published.get(content.name)
        version = before.version if before and before.digest == digest else new
        versions[content.name] = version
        numbered.append(Numbered(content, version, digest, siblings))
    return tuple(numbered)


def _count(published: Published) -> int:
    number = published.version.rpartition("+")[2]
    return int(number) if number.isdecimal() else 0


def _digest(content: Content, siblings: Mapping[str, str]) -> str:
    fields = {**asdict(content), "files": [asdict(file) for file in content.files]}
    described = json.dumps([fields, siblings], sort_keys=True, default=bytes.hex)
    return hashlib.sha256(described.encode()).hexdigest()
