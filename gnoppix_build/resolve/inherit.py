# SPDX-License-Identifier: GPL-3.0-or-later
"""A profile and all that it extends, parents first."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from gnoppix_build.diagnostics import Diagnostic, Note, Span
from gnoppix_build.language.decode import decode
from gnoppix_build.language.node import Node, span_of
from gnoppix_build.language.source import SourceReader, Unreadable, read_document, source_name
from gnoppix_build.language.suggestion import did_you_mean
from gnoppix_build.profile.model import Profile

FAMILY_LIMIT: Final = 64


@dataclass(frozen=True, slots=True)
class Member:
    """One profile file; `ancestors` are the members that it extends, near and far."""

    index: int
    profile: Profile
    root: Node
    parents: tuple[int, ...]
    ancestors: frozenset[int]


@dataclass(frozen=True, slots=True)
class Family:
    """A profile (the last member) and what it extends, parents before children."""

    members: tuple[Member, ...]
    diagnostics: tuple[Diagnostic, ...]
    sources: Mapping[str, str]


def load_family(path: Path, folders: Sequence[Path], reader: SourceReader) -> Family:
    """Read a profile and its parents, which lie beside it or else in one of the folders."""
    walk = _Walk(folders, reader)
    walk.visit(path, None)
    return Family(tuple(walk.members), tuple(walk.diagnostics), walk.sources)


@dataclass(slots=True)
class _Walk:
    folders: Sequence[Path]
    reader: SourceReader
    members: list[Member] = field(default_factory=list)
    diagnostics: list[Diagnostic] = field(default_factory=list)
    sources: dict[str, str] = field(default_factory=dict)
    _known: dict[Path, int | None] = field(default_factory=dict)
    _chain: list[tuple[Path, Span | None]] = field(default_factory=list)

    def visit(self, path: Path, asked: Span | None) -> int | None:
        """Read one profile unless it was read already; None if there is nothing to go on with."""
        if any(path == each for each, _ in self._chain):
            self._report_cycle(path, asked)
            return None
        if path not in self._known:
            if len(self._known) >= FAMILY_LIMIT:
                assert asked is not None, "the first profile is within the limit"
                message = f"more than {FAMILY_LIMIT} profiles extend each other"
                self.diagnostics.append(Diagnostic("too-many-profiles", message, asked))
                return None
            self._known[path] = None
            self._chain.append((path, asked))
            self._known[path] = self._load(path, asked)
            self._chain.pop()
        return self._known[path]

    def _load(self, path: Path, asked: Span | None) -> int | None:
        document = read_document(path, self.reader, asked=asked)
        if document.text or document.name not in self.sources:
            self.sources[document.name] = document.text
        self.diagnostics += document.diagnostics
        if document.root is None:
            return None
        decoded = decode(document.root, Profile)
        self.diagnostics += decoded.diagnostics
        if decoded.value is None:
            return None
        return self._add(decoded.value, document.root, path)

    def _add(self, profile: Profile, root: Node, path: Path) -> int:
        parents: list[int] = []
        for place, wanted in enumerate(profile.extends):
            span = span_of(root, ("extends", place))
            found = self._find(path, wanted, span)
            parent = self.visit(found, span) if found else None
            if parent is not None and parent not in parents:
                parents.append(parent)
        ancestors = frozenset(parents).union(*(self.members[each].ancestors for each in parents))
        member = Member(len(self.members), profile, root, tuple(parents), ancestors)
        self.members.append(member)
        return member.index

    def _find(self, child: Path, wanted: str, span: Span) -> Path | None:
        if "/" in wanted or wanted.endswith(".yaml"):
            return child.parent / wanted
        places = [child.parent, *self.folders]
        for folder in places:
            path = folder / f"{wanted}.yaml"
            content = self.reader.read(path)
            if not (isinstance(content, Unreadable) and content.is_missing):
                return path
        self.diagnostics.append(
            Diagnostic(
                "unknown-profile",
                f"there is no profile `{wanted}`",
                span,
                (),
                did_you_mean(wanted, profile_names(places, self.reader)),
            )
        )
        return None

    def _report_cycle(self, path: Path, asked: Span | None) -> None:
        assert asked is not None, "a cycle has a place that closes it"
        start = next(n for n, (each, _) in enumerate(self._chain) if each == path)
        notes = tuple(
            Note(f"`{source_name(each)}` is extended here", span)
            for each, span in self._chain[start + 1 :]
        )
        message = f"`{source_name(path)}` extends itself"
        self.diagnostics.append(Diagnostic("extends-cycle", message, asked, notes))


def profile_names(folders: Sequence[Path], reader: SourceReader) -> set[str]:
    """List the names of the profiles in the folders."""
    files = (Path(name) for folder in folders for name in reader.files(folder))
    return {file.stem for file in files if file.suffix == ".yaml"}
