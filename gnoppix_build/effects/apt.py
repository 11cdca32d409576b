# SPDX-License-Identifier: GPL-3.0-or-later
"""Apt as the resolver: a lock is what it would install into an empty system."""

import email.utils
import fcntl
import hashlib
import os
import re
import time
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from urllib.parse import unquote

from gnoppix_build.catalog.private_root import PrivateRoot
from gnoppix_build.effects.apt_mirrors import KEYRING, Mirrors, host_mirrors
from gnoppix_build.effects.faults import CommandFault, EnvironmentFault, Fault, MirrorFault
from gnoppix_build.effects.process import capture
from gnoppix_build.lock.model import Lock, LockedRoot, Package, PackageSet, Release

__all__ = ["Mirrors", "UnknownPackageFault", "host_mirrors", "make_lock"]

ESSENTIAL = ("?essential", "apt")
PROXY_VARIABLES = ("http_proxy", "https_proxy", "no_proxy")
PRINTED_URI = re.compile(r"'(?P<uri>[^']+)' (?P<file>\S+) (?P<size>\d+) SHA256:(?P<sha256>\w+)")
RELEASE_FILE = re.compile(r"_dists_(?P<suite>[^_]+)_InRelease$")


class UnknownPackageFault(Fault):
    """A package that was asked for is in none of the suites."""

    exit_code = 3
    code = "unknown-package"


@dataclass(frozen=True)
class _Solver:
    """An apt that knows the suites and believes that nothing is installed."""

    configuration: Path
    lists: Path
    mirrors: Mirrors

    def capture(self, *argv: str) -> bytes:
        proxies = {name: os.environ[name] for name in PROXY_VARIABLES if name in os.environ}
        return capture(argv, env={"APT_CONFIG": str(self.configuration), **proxies})

    def update(self) -> None:
        """Fetch what changed of the package lists."""
        try:
            self.capture("apt-get", "--error-on=any", "--quiet=2", "update")
        except CommandFault as fault:
            places = " and ".join(dict.fromkeys((self.mirrors.main, self.mirrors.security)))
            cause = "; ".join((fault.hint or "apt does not say why").splitlines())
            raise MirrorFault(
                f"the package lists of {places} could not be had: {cause}",
                hint="look at the network, or name another `mirror` in the profile",
            ) from fault

    def solve(self, wanted: Sequence[str]) -> tuple[Package, ...]:
        """Give the closed set of .debs that apt would install for these, by name."""
        force_hash = ("-o", "Acquire::ForceHash=SHA256")
        try:
            printed = self.capture(
                *("apt-get", *force_hash, "--quiet=2", "--print-uris"),
                *("--no-install-recommends", "install", "--", *wanted),
            )
        except CommandFault as fault:
            raise self._explain(wanted, fault) from fault
        packages = (self._read_line(line) for line in printed.decode().splitlines() if line)
        return tuple(sorted(packages, key=lambda package: (package.name, package.architecture)))

    def _explain(self, wanted: Sequence[str], fault: CommandFault) -> Fault:
        known = set(self.capture("apt-cache", "pkgnames").decode().split())
        asked = [name for name in wanted if not name.startswith("?") and "=" not in name]
        unknown = [f"`{name}`" for name in asked if name.partition(":")[0] not in known]
        if unknown:
            return UnknownPackageFault(
                f"no suite has the package {', '.join(unknown)}",
                hint="look at its spelling, at `areas` and at `suite`",
            )
        return UnknownPackageFault(
            "apt finds no set of packages that fit together", hint=fault.hint
        )

    def _read_line(self, line: str) -> Package:
        match = PRINTED_URI.match(line)
        assert match is not None, line
        name, version, architecture = unquote(match["file"].removesuffix(".deb")).split("_")
        path = self.mirrors.path_of(unquote(match["uri"]))
        return Package(name, version, architecture, int(match["size"]), match["sha256"], path)


def make_lock(
    *,
    suite: str,
    areas: Sequence[str],
    architecture: str,
    mirror: str | None,
    base: Sequence[str],
    packages: Sequence[str],
    tools: Sequence[str],
    cache: Path,
    private_roots: Mapping[str, PrivateRoot] = MappingProxyType({}),
) -> Lock:
    """Choose the .debs of the base, of the layer above it, of the tools tree and private roots.

    Needs no root. `mirror` replaces the host's own main archive. A package's `path` starts with
    the archive it is from, `debian/` or `debian-security/`, and never names a host. The epoch
    is the date of the newest Release file. Raises MirrorFault and UnknownPackageFault.
    """
    mirrors = host_mirrors(mirror)
    roots = tuple(
        lock_private_root(component, root, cache, architecture, mirrors)
        for component, root in sorted(private_roots.items())
    )
    with _prepare_solver(cache, suite, areas, architecture, mirrors) as solver:
        solver.update()
        with ThreadPoolExecutor() as pool:
            tools_closure = pool.submit(solver.solve, (*ESSENTIAL, *tools))
            base_closure = solver.solve((*ESSENTIAL, *base))
            above = _solve_above(solver, base_closure, packages)
            return Lock(
                suite=suite,
                architecture=architecture,
                epoch=_newest_date(solver.lists),
                releases=_read_releases(solver.lists),
                base=PackageSet(tuple(base), base_closure),
                packages=PackageSet(tuple(packages), above),
                tools=PackageSet(tuple(tools), tools_closure.result()),
                private_roots=roots,
            )


def lock_private_root(
    component: str, root: PrivateRoot, cache: Path, architecture: str, mirrors: Mirrors
) -> LockedRoot:
    """Choose the .debs that a private root names, and no others."""
    with _prepare_solver(cache, root.suite, ("main",), architecture, mirrors) as solver:
        solver.update()
        chosen = solver.solve(root.packages)
    packages = tuple(package for package in chosen if package.name in root.packages)
    return LockedRoot(component, root.suite, packages)


def _solve_above(
    solver: _Solver, base: Sequence[Package], wanted: Sequence[str]
) -> tuple[Package, ...]:
    if not wanted:
        return ()
    pinned = [f"{package.name}={package.version}" for package in base]
    below = set(base)
    return tuple(package for package in solver.solve((*pinned, *wanted)) if package not in below)


@contextmanager
def _prepare_solver(
    cache: Path, suite: str, areas: Sequence[str], architecture: str, mirrors: Mirrors
) -> Iterator[_Solver]:
    """Lay out an apt of its own below `cache`; two runs at once wait for each other."""
    if not KEYRING.exists():
        raise EnvironmentFault(
            f"`{KEYRING}` is missing: nothing could be authenticated",
            hint="apt-get install debian-archive-keyring",
        )
    directory = (cache / f"{suite}-{architecture}").resolve()
    for folder in ("state/lists/partial", "cache/archives/partial", "etc/preferences.d", "log"):
        (directory / folder).mkdir(parents=True, exist_ok=True)
    with (directory / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        (directory / "status").write_bytes(b"")
        (directory / "sources.list").write_text(_sources_list(suite, areas, mirrors))
        configuration = directory / "apt.conf"
        configuration.write_text(_apt_configuration(directory, architecture, mirrors.options))
        yield _Solver(configuration, directory / "state/lists", mirrors)


def _sources_list(suite: str, areas: Sequence[str], mirrors: Mirrors) -> str:
    places = (
        (mirrors.main, suite),
        (mirrors.main, f"{suite}-updates"),
        (mirrors.security, f"{suite}-security"),
    )
    chosen = " ".join(areas)
    return "".join(f"deb [signed-by={KEYRING}] {uri} {name} {chosen}\n" for uri, name in places)


def _apt_configuration(directory: Path, architecture: str, host_options: Mapping[str, str]) -> str:
    options = {
        "APT::Architecture": architecture,
        "APT::Architectures": architecture,
        "APT::Sandbox::User": "root",
        "Acquire::Languages": "none",
        "Acquire::Retries": "3",
        "Dir": str(directory),
        "Dir::Cache": "cache",
        "Dir::Etc": "etc",
        "Dir::Etc::sourcelist": str(directory / "sources.list"),
        "Dir::Etc::sourceparts": "/dev/null",
        "Dir::Log": "log",
        "Dir::State": "state",
        "Dir::State::status": str(directory / "status"),
        **host_options,
    }
    return "".join(f'{name} "{value}";\n' for name, value in options.items())


def _read_releases(lists: Path) -> tuple[Release, ...]:
    found = [(RELEASE_FILE.search(path.name), path) for path in sorted(lists.iterdir())]
    return tuple(
        Release(match["suite"], hashlib.sha256(path.read_bytes()).hexdigest())
        for match, path in found
        if match is not None
    )


def _newest_date(lists: Path) -> int:
    """Give the newest `Date` of the Release files in seconds, or now if it is still to come."""
    dates = [
        int(email.utils.parsedate_to_datetime(line.removeprefix("Date:").strip()).timestamp())
        for path in lists.glob("*_InRelease")
        for line in path.read_text().splitlines()
        if line.startswith("Date:")
    ]
    return min(max(dates), int(time.time()))
