# SPDX-License-Identifier: GPL-3.0-or-later
"""The words that sentences about declarations are made of."""

from collections.abc import Iterable

from gnoppix_build.catalog.declaration import Condition, FromOption
from gnoppix_build.catalog.manifest import Manifest, WrittenValue


def code(word: object) -> str:
    """Mark what people type."""
    return f"`{word}`"


def listing(elements: Iterable[object]) -> str:
    """Join what is written as it is."""
    return ", ".join(map(str, elements))


def spell(value: WrittenValue | None) -> str:
    """Write an option's value as a profile does, or tell that it is empty or missing."""
    if value is None:
        return "none"
    written = value if isinstance(value, str) else " ".join(value)
    return code(written) if written else "empty"


def source(value: object, manifest: Manifest) -> str:
    """Write a value, or the option that decides it with its default."""
    if not isinstance(value, FromOption):
        return str(value)
    default = manifest.options[value.option].default
    chosen = code(value.option)
    return chosen if default is None or not default else f"{spell(default)} ({chosen})"


def condition(when: Condition) -> str:
    """Write when something holds, as the end of a sentence; empty: always."""
    return f", when {_clauses(when)}" if when else ""


def exception(unless: Condition) -> str:
    """Write when something does not hold after all; empty: never."""
    return f", unless {_clauses(unless)}" if unless else ""


def _clauses(values_by_option: Condition) -> str:
    clauses = (
        f"{code(option)} is {' or '.join(map(spell, values))}"
        for option, values in values_by_option.items()
    )
    return " and ".join(clauses)


def score(tenths: int) -> str:
    """Write an exposure the way systemd-analyze(1) does."""
    return f"{tenths // 10}.{tenths % 10}"
