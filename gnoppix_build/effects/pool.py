# SPDX-License-Identifier: GPL-3.0-or-later
"""The pool: verified .debs by hash, and local repositories made from it."""

import email.utils
import errno
import fcntl
import hashlib
import os
import shutil
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

from debian.debfile import DebFile

from gnoppix_build.effects.apt_mirrors import Mirrors
from gnoppix_build.effects.faults import CommandFault, DigestFault, EnvironmentFault, MirrorFault
from gnoppix_build.effects.process import run
from gnoppix_build.lock.model import Package
from gnoppix_build.plan.steps import Blob

APT_HELPER = "/usr/lib/apt/apt-helper"
# The name of a local repository; mmdebstrap takes the essential packages of that suite.
REPOSITORY_SUITE = "local"
PROXY_VARIABLES = ("http_proxy", "https_proxy", "no_proxy")


def fetch(packages: Sequence[Package], mirrors: Mirrors, pool: Path, log: Path) -> None:
    """Bring into the pool what it lacks, each .deb verified before it gets its name.

    Apt does the transport: its proxies, retries and hash checks. Raises DigestFault when a
    mirror serves other bytes, MirrorFault when it does not serve them at all.
    """
    pool.mkdir(parents=True, exist_ok=True)
    wanted = {package.sha256: package for package in packages}
    with _staging(pool) as staging:
        missing = [
            package for package in wanted.values() if not _is_whole(package, _place(pool, package))
        ]
        if not missing:
            return
        try:
            run(_download_command(missing, mirrors, staging), log=log, env=_proxies())
        except CommandFault as fault:
            raise _name_culprit(missing, mirrors, staging) or fault from fault
        finally:
            for package in missing:
                arrived = _place(staging, package)
                if _is_whole(package, arrived):
                    arrived.replace(_place(pool, package))


def find(package: Package, pool: Path) -> Path:
    """Give a .deb of the pool; raises DigestFault when it was changed since it was fetched."""
    return _verified(_place(pool, package), package.sha256)


def find_blob(blob: Blob, pool: Path) -> Path:
    """Give a file of the pool that is no .deb; raises DigestFault as `find` does."""
    return _verified(pool / "blobs" / blob.sha256, blob.sha256)


def write_repository(packages: Sequence[Package], pool: Path, directory: Path) -> None:
    """Make a flat repository, for apt as `deb [trusted=yes] file:DIRECTORY ./`.

    Raises DigestFault when a .deb of the pool was changed since it was fetched.
    """
    directory.mkdir(parents=True, exist_ok=True)
    ordered = sorted(packages, key=lambda package: (package.name, package.architecture))
    with ThreadPoolExecutor() as workers:
        stanzas = list(workers.map(lambda package: _publish(package, pool, directory), ordered))
    index = "\n".join(stanzas).encode()
    (directory / "Packages").write_bytes(index)
    digest = hashlib.sha256(index).hexdigest()
    date = email.utils.formatdate(0, usegmt=True).replace("GMT", "UTC")
    (directory / "Release").write_text(
        f"Suite: {REPOSITORY_SUITE}\nDate: {date}\nSHA256:\n {digest} {len(index)} Packages\n"
    )


def _publish(package: Package, pool: Path, directory: Path) -> str:
    """Link a .deb into a repository and give its stanza of the index."""
    stored = find(package, pool)
    version = package.version.partition(":")[2] or package.version
    name = f"{package.name}_{version}_{package.architecture}.deb"
    _link(stored, directory / name)
    with DebFile(str(stored)) as deb:
        control = str(deb.debcontrol()).rstrip("\n")
    facts = {"Filename": f"./{name}", "Size": package.size, "SHA256": package.sha256}
    return control + "".join(f"\n{field}: {value}" for field, value in facts.items()) + "\n"


def _verified(stored: Path, sha256: str) -> Path:
    if _sha256(stored) != sha256:
        stored.unlink()
        raise DigestFault(
            f"`{stored}` was damaged and is removed", hint="run the same command again"
        )
    return stored


def _link(source: Path, destination: Path) -> None:
    destination.unlink(missing_ok=True)
    try:
        os.link(source, destination)
    except OSError as error:
        if error.errno not in (errno.EXDEV, errno.EPERM, errno.EMLINK):
            raise
        shutil.copyfile(source, destination)


@contextmanager
def _staging(pool: Path) -> Iterator[Path]:
    """Give an empty folder for arrivals; another build's download is waited for."""
    staging = pool / "arriving"
    with (pool / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        shutil.rmtree(staging, ignore_errors=True)
        staging.mkdir()
        try:
            yield staging
        finally:
            shutil.rmtree(staging, ignore_errors=True)


def _download_command(
    packages: Sequence[Package], mirrors: Mirrors, staging: Path
) -> tuple[str, ...]:
    if not Path(APT_HELPER).exists():
        raise EnvironmentFault(f"`{APT_HELPER}` is missing", hint="apt-get install apt")
    options = {"Acquire::Retries": "3", "APT::Sandbox::User": "root", **mirrors.options}
    settings = [word for name, value in options.items() for word in ("-o", f"{name}={value}")]
    triples = (
        (mirrors.uri_of(package.path), str(_place(staging, package)), f"SHA256:{package.sha256}")
        for package in packages
    )
    return (
        APT_HELPER,
        *settings,
        "download-file",
        *(word for triple in triples for word in triple),
    )


def _name_culprit(
    packages: Sequence[Package], mirrors: Mirrors, staging: Path
) -> DigestFault | MirrorFault | None:
    """Tell bytes that are wrong from bytes that are not there, by what apt left behind."""
    for package in packages:
        place = _place(staging, package)
        uri = mirrors.uri_of(package.path)
        if place.with_name(f"{place.name}.FAILED").exists():
            return DigestFault(f"{uri} is not the file of the lock, sha256 {package.sha256}")
        if not place.exists():
            return MirrorFault(
                f"{uri} could not be had", hint="make the lock afresh: lock --update"
            )
    return None


def _place(folder: Path, package: Package) -> Path:
    return folder / f"{package.sha256}.deb"


def _is_whole(package: Package, path: Path) -> bool:
    return path.exists() and path.stat().st_size == package.size


def _sha256(path: Path) -> str:
    with path.open("rb") as content:
        return hashlib.file_digest(content, "sha256").hexdigest()


def _proxies() -> dict[str, str]:
    return {name: os.environ[name] for name in PROXY_VARIABLES if name in os.environ}
