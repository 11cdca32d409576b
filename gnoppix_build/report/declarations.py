# SPDX-License-Identifier: GPL-3.0-or-later
"""What a component declares, in sentences: the same ones on a terminal and on a page."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from gnoppix_build.catalog.manifest import (
    Condition,
    Contribution,
    Egress,
    FromOption,
    Listener,
    Manifest,
    Option,
    OptionalContribution,
    Redirect,
    WrittenValue,
)
from gnoppix_build.report.check_file import CheckPromise
from gnoppix_build.report.component import DescribedComponent


@dataclass(frozen=True, slots=True)
class Section:
    """A heading and the lines below it; a section without lines is not made."""

    heading: str
    lines: tuple[str, ...]


def sections_of(described: DescribedComponent) -> tuple[Section, ...]:
    """Give everything that a component declares and that its checks promise."""
    manifest = described.component.manifest
    written = {
        "needs": _relations(manifest),
        "options": (_option(name, option) for name, option in manifest.options.items()),
        "listens": (_listener(each, manifest) for each in manifest.listens),
        "redirects": (_redirect(each, manifest) for each in manifest.redirects),
        "egress": map(_egress, manifest.egress),
        "system": _contributions(manifest),
        "checks": map(_check, described.checks),
    }
    sections = (Section(heading, tuple(lines)) for heading, lines in written.items())
    return tuple(section for section in sections if section.lines)


def _relations(manifest: Manifest) -> Iterator[str]:
    if manifest.requires:
        yield f"requires {_listing(manifest.requires)}"
    if manifest.provides:
        yield f"provides {_listing(manifest.provides)}"
    if manifest.conflicts:
        yield f"excludes {_listing(manifest.conflicts)}"
    if len(manifest.targets) == 1:
        yield f"only for a target of type {manifest.targets[0]}"


def _option(name: str, option: Option) -> str:
    kind = f"one of {_listing(map(_code, option.choices))}" if option.choices else option.type
    return f"{_code(name)}: {kind}, default {_spell(option.default)}. {option.doc}"


def _spell(value: WrittenValue) -> str:
    written = value if isinstance(value, str) else " ".join(value)
    return _code(written) if written else "empty"


def _code(word: str) -> str:
    return f"`{word}`"


def _listener(listener: Listener, manifest: Manifest) -> str:
    port = _port(listener.port, manifest)
    openness = f"open to {_listing(listener.open_to)}" if listener.open_to else "by redirect only"
    place = f"{listener.protocol} {listener.address} port {port}"
    return f"{place}, user {listener.user}, {openness}{_condition(listener.when)}"


def _redirect(redirect: Redirect, manifest: Manifest) -> str:
    port = _port(redirect.port, manifest)
    exempt = f", but for {_listing(redirect.exempt)}" if redirect.exempt else ""
    return f"{redirect.traffic} to port {port}{exempt}{_condition(redirect.when)}"


def _egress(egress: Egress) -> str:
    ports = f" to ports {_listing(egress.ports)}" if egress.ports else " to any port"
    return f"{egress.user} sends {egress.protocol}{ports}{_condition(egress.when)}"


def _contributions(manifest: Manifest) -> Iterator[str]:
    yield from _contribution(manifest, "")
    for each in manifest.optional:
        yield from _contribution(each, _condition(each.when))


def _contribution(part: Contribution | OptionalContribution, condition: str) -> Iterator[str]:
    lists: dict[str, Iterable[str]] = {
        "packages": part.packages,
        "units enabled": part.units.enable,
        "units disabled": part.units.disable,
        "units masked": part.units.mask,
        "kernel modules": part.kernel_modules,
        "modules blocked": part.blocked_modules,
        "kernel arguments": part.kernel_arguments,
        "sysctl": (f"{key}={value}" for key, value in part.sysctl.items()),
        "needs": (f"{each.name} ({each.because})" for each in part.needs),
        "takes away": (f"{each.name} ({each.because})" for each in part.takes_away),
    }
    for what, elements in lists.items():
        if listing := _listing(elements):
            yield f"{what}: {listing}{condition}"


def _check(check: CheckPromise) -> str:
    tiers = " and ".join(check.tiers)
    spoiling = ", on a snapshot" if check.is_destructive else ""
    return f"{_code(check.name)} ({tiers}{spoiling}): {check.promise}"


def _port(source: int | FromOption, manifest: Manifest) -> str:
    if not isinstance(source, FromOption):
        return str(source)
    return f"{_spell(manifest.options[source.option].default)} ({_code(source.option)})"


def _condition(when: Condition) -> str:
    clauses = [
        f"{_code(option)} is {' or '.join(map(_code, values))}" for option, values in when.items()
    ]
    return f", when {' and '.join(clauses)}" if clauses else ""


def _listing(elements: Iterable[object]) -> str:
    return ", ".join(map(str, elements))
