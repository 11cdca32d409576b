# SPDX-License-Identifier: GPL-3.0-or-later
"""Where the build host gets Debian from: its own apt configuration, read and never changed."""

import shlex
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import quote

from debian.deb822 import Deb822

from gnoppix_build.effects.faults import EnvironmentFault, MirrorFault
from gnoppix_build.effects.process import capture

APT_FOLDER = Path("/etc/apt")
KEYRING = Path("/usr/share/keyrings/debian-archive-keyring.gpg")
MAIN_ARCHIVE = "debian/"
SECURITY_ARCHIVE = "debian-security/"
SUITES = frozenset(
    (
        *("bullseye", "bookworm", "trixie", "forky", "sid"),
        *("oldoldstable", "oldstable", "stable", "testing", "unstable"),
    )
)
HONOURED_OPTIONS = ("Acquire::http::Proxy", "Acquire::https::Proxy")
WARNED_OPTIONS = ("Acquire::Check-Valid-Until", "Acquire::Check-Date")


@dataclass(frozen=True)
class Mirrors:
    """The two archives that packages come from; `options` are the host's own for reaching them."""

    main: str
    security: str
    options: Mapping[str, str] = field(default_factory=dict)
    warnings: tuple[str, ...] = ()

    def path_of(self, uri: str) -> str:
        """Turn an address into a path that begins with the archive's name."""
        for archive, root in self._archives():
            if uri.startswith(f"{root}/"):
                return archive + uri.removeprefix(f"{root}/")
        raise MirrorFault(f"`{uri}` is at none of the mirrors")

    def uri_of(self, path: str) -> str:
        """Turn a path of the lock into the address to fetch it from."""
        for archive, root in self._archives():
            if path.startswith(archive):
                return f"{root}/{quote(path.removeprefix(archive))}"
        raise MirrorFault(
            f"`{path}` begins with no archive that is known",
            hint=f"a path in a lock begins with `{MAIN_ARCHIVE}` or `{SECURITY_ARCHIVE}`",
        )

    def _archives(self) -> tuple[tuple[str, str], ...]:
        return ((MAIN_ARCHIVE, self.main), (SECURITY_ARCHIVE, self.security))


@dataclass(frozen=True)
class _Source:
    uri: str
    suite: str
    signed_by: str


def host_mirrors(mirror: str | None = None, folder: Path = APT_FOLDER) -> Mirrors:
    """Give the archives of the host's own apt; `mirror` replaces the main one.

    Only entries signed by Debian's archive keyring count. Without a security archive on the
    host, the sibling of the main one is taken.
    """
    sources = [source for source in _read_sources(folder) if _is_debian(source)]
    security = [source.uri for source in sources if source.suite.endswith("-security")]
    main = [source.uri for source in sources if not source.suite.endswith("-security")]
    chosen = mirror.rstrip("/") if mirror is not None else next(iter(main), None)
    if chosen is None:
        raise EnvironmentFault(
            f"no Debian archive is named below `{folder}`",
            hint="name a `mirror` in the profile",
        )
    sibling = f"{chosen.rpartition('/')[0]}/{SECURITY_ARCHIVE.rstrip('/')}"
    options = _host_options()
    warnings = tuple(
        f'the host\'s apt has {name} "false": an outdated or replayed mirror goes unnoticed'
        for name in WARNED_OPTIONS
        if name in options
    )
    return Mirrors(chosen, next(iter(security), sibling), options, warnings)


def _is_debian(source: _Source) -> bool:
    if not source.uri.startswith(("http://", "https://")):
        return False
    if source.signed_by:
        return Path(source.signed_by).name.startswith("debian-archive-")
    return source.suite.partition("-")[0] in SUITES


def _read_sources(folder: Path) -> Iterator[_Source]:
    parts = folder / "sources.list.d"
    for path in sorted(parts.glob("*.sources")):
        with path.open() as text:
            yield from _read_stanzas(Deb822.iter_paragraphs(text))
    for path in (folder / "sources.list", *sorted(parts.glob("*.list"))):
        if path.exists():
            yield from _read_lines(path.read_text().splitlines())


def _read_stanzas(stanzas: Iterable[Mapping[str, str]]) -> Iterator[_Source]:
    for stanza in stanzas:
        enabled = stanza.get("Enabled", "yes").lower() not in ("no", "false", "0")
        if not enabled or "deb" not in stanza.get("Types", "").split():
            continue
        for uri in stanza.get("URIs", "").split():
            for suite in stanza.get("Suites", "").split():
                yield _Source(uri.rstrip("/"), suite, stanza.get("Signed-By", "").strip())


def _read_lines(lines: Iterable[str]) -> Iterator[_Source]:
    """Read the one-line format. Source: sources.list(5)."""
    for line in lines:
        words = line.partition("#")[0].replace("[", " [ ").replace("]", " ] ").split()
        if words[:1] != ["deb"]:
            continue
        options: list[str] = []
        rest = words[1:]
        if rest[:1] == ["["] and "]" in rest:
            end = rest.index("]")
            options, rest = rest[1:end], rest[end + 1 :]
        if len(rest) < len(("uri", "suite")):
            continue
        signed_by = next((word for word in options if word.startswith("signed-by=")), "")
        yield _Source(rest[0].rstrip("/"), rest[1], signed_by.removeprefix("signed-by="))


def _host_options() -> dict[str, str]:
    names = (*HONOURED_OPTIONS, *WARNED_OPTIONS)
    questions = [word for number, name in enumerate(names) for word in (f"o{number}", name)]
    said = capture(("apt-config", "shell", *questions)).decode()
    answers = dict(word.split("=", 1) for word in shlex.split(said))
    options = {name: answers.get(f"o{number}", "") for number, name in enumerate(names)}
    wanted = {name: value for name, value in options.items() if value}
    return {
        name: value
        for name, value in wanted.items()
        if name in HONOURED_OPTIONS or value.lower() in ("false", "no", "0", "off")
    }
