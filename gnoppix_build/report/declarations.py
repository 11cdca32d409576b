# SPDX-License-Identifier: GPL-3.0-or-later
"""What a component declares, in sentences: the same ones on a terminal and on a page."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import assert_never

from gnoppix_build.catalog.declaration import Condition, FromOption
from gnoppix_build.catalog.manifest import (
    Contribution,
    Manifest,
    Option,
    OptionalContribution,
    WrittenValue,
)
from gnoppix_build.catalog.network import (
    CarriedEgress,
    ConfinedEgress,
    DirectEgress,
    Egress,
    LinkEgress,
    Listener,
    Redirect,
    UnixSocket,
)
from gnoppix_build.catalog.service import Service
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
        "sockets": map(_socket, manifest.sockets),
        "redirects": (_redirect(each, manifest) for each in manifest.redirects),
        "egress": (_egress(each, manifest) for each in manifest.egress),
        "services": map(_service, manifest.services),
        "refuses": (
            f"{_clauses(each.when)}: {each.because}; {each.hint}" for each in manifest.refuses
        ),
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
    default = "to be given" if option.default is None else f"default {_spell(option.default)}"
    return f"{_code(name)}: {kind}, {default}. {option.doc}"


def _spell(value: WrittenValue) -> str:
    written = value if isinstance(value, str) else " ".join(value)
    return _code(written) if written else "empty"


def _code(word: str) -> str:
    return f"`{word}`"


def _listener(listener: Listener, manifest: Manifest) -> str:
    port = _source(listener.port, manifest)
    address = _source(listener.address, manifest)
    openness = f"open to {_listing(listener.open_to)}" if listener.open_to else "by redirect only"
    place = f"{listener.protocol} {address} port {port}"
    return f"{place}, user {listener.user}, {openness}{_condition(listener.when)}"


def _socket(socket: UnixSocket) -> str:
    open_to = _listing(socket.open_to) or "nobody else"
    return f"{socket.path}, user {socket.user}, open to {open_to}{_condition(socket.when)}"


def _redirect(redirect: Redirect, manifest: Manifest) -> str:
    port = _source(redirect.port, manifest)
    return f"{redirect.traffic} to port {port}{_condition(redirect.when)}"


def _egress(egress: Egress, manifest: Manifest) -> str:
    match egress:
        case ConfinedEgress():
            bound = "nothing at all" if egress.reach == "none" else "nothing beyond this machine"
            what = f"{egress.user} reaches {bound}"
        case CarriedEgress():
            what = f"{egress.user} reaches the network only through {egress.through}"
        case LinkEgress():
            what = f"{egress.user} sends what {egress.link} needs on a link"
        case DirectEgress():
            ports = _listing(_source(each, manifest) for each in egress.ports)
            addresses = _listing(_source(each, manifest) for each in egress.addresses)
            places = (
                f"{f'to ports {ports}' if ports else 'to any port'} of {addresses or 'any host'}"
            )
            what = f"{egress.user} sends {egress.protocol} {places}"
        case _:
            assert_never(egress)
    return f"{what}{_condition(egress.when)}"


def _service(service: Service) -> str:
    exposure = f"exposure {service.exposure // 10}.{service.exposure % 10}"
    reason = f" ({service.because})" if service.because else ""
    relaxed = "".join(
        f"; {setting} is {_code(each.to)}: {each.because}"
        for setting, each in service.relaxes.items()
    )
    condition = _condition(service.when)
    return f"{service.unit}, user {service.user}, {exposure}{reason}{relaxed}{condition}"


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


def _source(source: int | str | FromOption, manifest: Manifest) -> str:
    if not isinstance(source, FromOption):
        return str(source)
    default = manifest.options[source.option].default
    named = _code(source.option)
    return named if default is None else f"{_spell(default)} ({named})"


def _condition(when: Condition) -> str:
    return f", when {_clauses(when)}" if when else ""


def _clauses(when: Condition) -> str:
    return " and ".join(
        f"{_code(option)} is {' or '.join(map(_code, values))}" for option, values in when.items()
    )


def _listing(elements: Iterable[object]) -> str:
    return ", ".join(map(str, elements))
