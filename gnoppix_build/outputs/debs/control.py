# SPDX-License-Identifier: GPL-3.0-or-later
"""The control file of a package, and the index of a repository. Source: Debian policy 5."""

import email.utils
import hashlib
import textwrap
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Final

from debian.deb822 import Deb822

from gnoppix_build.outputs.debs.package import Numbered, Published

DIGEST_FIELD: Final = "Gnoppix-Digest"
ORIGIN: Final = "gnoppix-build"
ARCHITECTURE: Final = "all"
KIBIBYTE: Final = 1024


class ForeignIndex(ValueError):
    """An index, or what names it, is not one that this project has written."""


@dataclass(frozen=True, slots=True)
class Archive:
    """A built package in the repository's folder."""

    control: str
    name: str
    size: int
    sha256: str


def archive_name(package: Numbered) -> str:
    """Name a package's file."""
    return f"{package.content.name}_{package.version}_{ARCHITECTURE}.deb"


def control_file(package: Numbered, maintainer: str) -> str:
    """Write DEBIAN/control."""
    content = package.content
    siblings = [
        f"{name} (= {version})" if content.exact else name
        for name, version in package.siblings.items()
    ]
    size = sum(-(-len(file.content) // KIBIBYTE) + 1 for file in content.files)
    fields = {
        "Package": content.name,
        "Version": package.version,
        "Architecture": ARCHITECTURE,
        "Maintainer": maintainer,
        "Installed-Size": str(size),
        "Depends": ", ".join((*content.depends, *siblings)),
        "Conflicts": content.stands_for,
        "Provides": content.stands_for,
        "Replaces": content.stands_for,
        "Section": "admin",
        "Priority": "optional",
        DIGEST_FIELD: package.digest,
        "Description": _description(content.summary, content.description),
    }
    return "".join(f"{name}: {value}\n" for name, value in fields.items() if value)


def changelog(package: Numbered, maintainer: str, epoch: int) -> str:
    """Write the changelog, which tells what the version is made of. Source: deb-changelog(5)."""
    date = email.utils.formatdate(epoch)
    return (
        f"{package.content.name} ({package.version}) unstable; urgency=medium\n\n"
        f"  * Made by gnoppix-build of\n    {package.digest}.\n\n"
        f" -- {maintainer}  {date}\n"
    )


def packages_index(archives: Iterable[Archive]) -> str:
    """Write the index `Packages`."""
    stanzas = (
        f"{archive.control}Filename: ./{archive.name}\n"
        f"Size: {archive.size}\nSHA256: {archive.sha256}\n"
        for archive in sorted(archives, key=lambda archive: archive.name)
    )
    return "\n".join(stanzas)


def release_file(profile: str, index: str, epoch: int) -> str:
    """Write `Release`, which names the index by its hash and is what is signed."""
    content = index.encode()
    date = email.utils.formatdate(epoch, usegmt=True).replace("GMT", "UTC")
    fields = {"Origin": ORIGIN, "Label": profile, "Suite": profile, "Date": date}
    digest = hashlib.sha256(content).hexdigest()
    return (
        "".join(f"{name}: {value}\n" for name, value in fields.items())
        + f"Architectures: {ARCHITECTURE}\nSHA256:\n {digest} {len(content)} Packages\n"
    )


def read_index(index: str) -> Mapping[str, Published]:
    """Read what a repository has, by package; raises ForeignIndex."""
    stanzas = [*Deb822.iter_paragraphs(index.splitlines(keepends=True))]
    if index.strip() and not stanzas:
        raise ForeignIndex("it is no index of packages")
    return dict(_read_stanza(stanza) for stanza in stanzas)


def _read_stanza(stanza: Mapping[str, str]) -> tuple[str, Published]:
    wanted = ("Package", "Version", DIGEST_FIELD, "Filename")
    for field in wanted:
        if not stanza.get(field):
            raise ForeignIndex(f"a package of it has no `{field}`")
    package, version, digest, place = (stanza[field] for field in wanted)
    archive = place.removeprefix("./")
    if "/" in archive:
        raise ForeignIndex(f"`{package}` lies elsewhere: `{place}`")
    return package, Published(version, digest, archive)


def require_own_release(release: str, profile: str) -> None:
    """Raise ForeignIndex if `Release` is that of another repository."""
    fields = Deb822(release)
    if fields.get("Origin") != ORIGIN:
        raise ForeignIndex(f"its `Origin` is not `{ORIGIN}`")
    if fields.get("Label") != profile:
        raise ForeignIndex(f"it is that of the profile `{fields.get('Label', '')}`")


def _description(summary: str, text: str) -> str:
    lines = textwrap.wrap(text, 78) or [summary]
    return "\n".join((summary, *(f" {line}" for line in lines)))
