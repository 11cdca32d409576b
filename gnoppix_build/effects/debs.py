# SPDX-License-Identifier: GPL-3.0-or-later
"""Debian packages with dpkg-deb, and a repository of them that appears file by file, index last."""

import gzip
import hashlib
import tempfile
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import TypeVar

from gnoppix_build.effects import openpgp
from gnoppix_build.effects.faults import Fault
from gnoppix_build.effects.process import require_tool, run
from gnoppix_build.outputs.debs.control import (
    Archive,
    ForeignIndex,
    archive_name,
    changelog,
    control_file,
    packages_index,
    read_index,
    release_file,
    require_own_release,
)
from gnoppix_build.outputs.debs.package import Numbered, Published

INDEX = "Packages"
RELEASE = "Release"
SIGNED = "InRelease"
LOG = "dpkg-deb.log"

T = TypeVar("T")


class RepositoryFault(Fault):
    """A folder holds another repository, or a damaged one."""

    code = "repository"


def read_repository(folder: Path, profile: str) -> Mapping[str, Published]:
    """Read what a folder has published of a profile; nothing if it has no repository.

    Raises RepositoryFault when the repository is another's: its index would be replaced.
    """
    release = folder / RELEASE
    if (folder / SIGNED).exists() and not release.exists():
        raise _not_ours(folder / SIGNED, f"there is no `{RELEASE}` beside it")
    _read(release, lambda text: require_own_release(text, profile))
    return _read(folder / INDEX, read_index) or {}


def _read(path: Path, read: Callable[[str], T]) -> T | None:
    if not path.exists():
        return None
    try:
        return read(path.read_text())
    except UnicodeDecodeError as error:
        raise _not_ours(path, "it is no text") from error
    except ForeignIndex as error:
        raise _not_ours(path, str(error)) from error


def _not_ours(path: Path, why: str) -> RepositoryFault:
    return RepositoryFault(
        f"`{path}` is not of this profile's repository: {why}",
        hint="write into a folder of the profile's own: -o DIR",
    )


def write_repository(
    packages: Sequence[Numbered],
    folder: Path,
    published: Iterable[Published],
    *,
    profile: str,
    maintainer: str,
    epoch: int,
    key: Path | None,
) -> None:
    """Build the packages and their index into a folder, and take away what they replace.

    `published` is what the folder's index names: nothing else in it is taken away. With an OpenPGP
    secret key the index is signed and `PROFILE.asc` is its certificate. The same packages and
    epoch give the same bytes; all but a signature, which has its own date.
    """
    require_tool("dpkg-deb")
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=folder, prefix=".arriving-") as scratch:
        arriving = Path(scratch)
        archives = [_build(package, arriving, maintainer, epoch) for package in packages]
        index = packages_index(archives)
        (arriving / INDEX).write_text(index)
        (arriving / RELEASE).write_text(release_file(profile, index, epoch))
        if key is not None:
            openpgp.sign(arriving / RELEASE, arriving / SIGNED, key)
            openpgp.write_certificate(key, arriving / f"{profile}.asc")
        certificates = [path.name for path in arriving.glob("*.asc")]
        names = [*(each.name for each in archives), *certificates, INDEX, RELEASE]
        names += [SIGNED] if key is not None else []
        for name in names:
            (arriving / name).replace(folder / name)
    for stale in {SIGNED, *(each.archive for each in published)} - {*names}:
        (folder / stale).unlink(missing_ok=True)


def _build(package: Numbered, result: Path, maintainer: str, epoch: int) -> Archive:
    """Lay out a package's tree and have dpkg-deb pack it."""
    control = control_file(package, maintainer)
    with tempfile.TemporaryDirectory(prefix="gnoppix-deb-") as scratch:
        tree = Path(scratch, "tree")
        _write_tree(package, tree, control, changelog(package, maintainer, epoch))
        archive = result / archive_name(package)
        # One thread: with several, xz splits by how many there are.
        argv = (
            *("dpkg-deb", "--root-owner-group", "-Zxz", "--threads-max=1", "--build"),
            *(str(tree), str(archive)),
        )
        run(argv, log=Path(scratch, LOG), env={"SOURCE_DATE_EPOCH": str(epoch)})
    content = archive.read_bytes()
    return Archive(control, archive.name, len(content), hashlib.sha256(content).hexdigest())


def _write_tree(package: Numbered, tree: Path, control: str, log: str) -> None:
    content = package.content
    documents = tree / "usr/share/doc" / content.name
    for file in content.files:
        assert (file.owner, file.group) == ("root", "root"), file.path
        _write(tree / file.path.lstrip("/"), file.content, file.mode)
    _write(documents / "changelog.gz", gzip.compress(log.encode(), mtime=0), 0o644)
    _write(tree / "DEBIAN/control", control.encode(), 0o644)
    for name, text in content.scripts.items():
        _write(tree / "DEBIAN" / name, text.encode(), 0o755)
    if content.conffiles:
        listed = "".join(f"{path}\n" for path in content.conffiles)
        _write(tree / "DEBIAN/conffiles", listed.encode(), 0o644)


def _write(path: Path, content: bytes, mode: int) -> None:
    """Write a file below folders of mode 0755, whatever the umask is."""
    for folder in reversed(path.parents):
        if not folder.exists():
            folder.mkdir()
            folder.chmod(0o755)
    path.write_bytes(content)
    path.chmod(mode)
