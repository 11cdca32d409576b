# SPDX-License-Identifier: GPL-3.0-or-later
"""The rules by which a profile and its parents become one."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Generic, TypeVar

from gnoppix_build.diagnostics import Diagnostic, Note, Span
from gnoppix_build.language.node import span_of
from gnoppix_build.profile.model import Areas, Packages
from gnoppix_build.resolve.inherit import Member

V = TypeVar("V")


@dataclass(frozen=True, slots=True)
class Claim(Generic[V]):
    """One member's word on a value."""

    member: Member
    value: V
    span: Span


def strongest(claims: Sequence[Claim[V]]) -> list[Claim[V]]:
    """Leave out the claims that a descendant of their profile overrides."""
    return [
        claim
        for claim in claims
        if not any(claim.member.index in other.member.ancestors for other in claims)
    ]


def decide(what: str, claims: Sequence[Claim[V]]) -> tuple[V, list[Diagnostic]]:
    """Choose the value that the last descendant gives; unrelated profiles have to agree."""
    top = strongest(claims)
    winner = top[-1]
    others = [claim for claim in top if claim.value != winner.value]
    if not others:
        return winner.value, []
    notes = tuple(Note("another value is given here", claim.span) for claim in others)
    diagnostic = Diagnostic(
        "profile-conflict",
        f"unrelated profiles give `{what}` different values",
        winner.span,
        notes,
        f"say `{what}` in the profile that extends both",
    )
    return winner.value, [diagnostic]


@dataclass(slots=True)
class Merger:
    """Merges the members' values and keeps the conflicts found on the way."""

    members: Sequence[Member]
    diagnostics: list[Diagnostic]

    def scalar(
        self, path: tuple[str, ...], read: Callable[[Member], str | None], default: str
    ) -> str:
        """Merge a scalar; the default holds if no member gives one."""
        return self.optional_scalar(path, read) or default

    def optional_scalar(
        self, path: tuple[str, ...], read: Callable[[Member], V | None]
    ) -> V | None:
        """Merge a scalar that may be absent."""
        claims = [
            Claim(member, value, span_of(member.root, path))
            for member in self.members
            if (value := read(member)) is not None
        ]
        if not claims:
            return None
        chosen, conflicts = decide(".".join(path), claims)
        self.diagnostics += conflicts
        return chosen

    def sequence(
        self, key: str, read: Callable[[Member], tuple[str, ...] | Packages | Areas]
    ) -> tuple[str, ...]:
        """Merge a list: parents' items first, each item once."""
        merged: list[tuple[str, ...]] = []
        for member in self.members:
            inherited = _once(item for parent in member.parents for item in merged[parent])
            merged.append(self._apply(key, member, inherited, read(member)))
        return merged[-1]

    def _apply(
        self,
        key: str,
        member: Member,
        inherited: tuple[str, ...],
        change: tuple[str, ...] | Packages | Areas,
    ) -> tuple[str, ...]:
        if isinstance(change, tuple):
            return _once((*inherited, *change))
        kept = inherited if change.replace is None else change.replace
        for place, item in enumerate(change.remove):
            if item not in kept:
                span = span_of(member.root, (key, "remove", place))
                message = f"`{item}` is not in the list, so it cannot be taken out"
                self.diagnostics.append(
                    Diagnostic("nothing-to-remove", message, span, severity="warning")
                )
        return _once(item for item in kept if item not in change.remove)


def _once(items: Iterable[str]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(items))
