# SPDX-License-Identifier: GPL-3.0-or-later
"""What a component declares, in sentences: the same ones on a terminal and on a page."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from gnoppix_build.catalog.leak import Leak
from gnoppix_build.catalog.manifest import (
    Contribution,
    Credential,
    Manifest,
    Option,
)
from gnoppix_build.catalog.service import Service
from gnoppix_build.report.check_file import CheckPromise
from gnoppix_build.report.component import DescribedComponent
from gnoppix_build.report.model import model_lines
from gnoppix_build.report.network import (
    consent_line,
    egress_line,
    listener_line,
    redirect_line,
    socket_line,
)
from gnoppix_build.report.words import code, condition, exception, listing, score, spell


@dataclass(frozen=True, slots=True)
class Section:
    """A heading and the lines below it; a section without lines is not made."""

    heading: str
    lines: tuple[str, ...]


def sections_of(described: DescribedComponent) -> tuple[Section, ...]:
    """Give everything that a component declares and that its checks promise."""
    manifest = described.component.manifest
    written: dict[str, Iterable[str]] = {
        "relations": _relations(manifest),
        "model": model_lines(manifest),
        "options": (_option(name, option) for name, option in manifest.options.items()),
        "listens": (listener_line(each, manifest) for each in manifest.listens),
        "sockets": map(socket_line, manifest.sockets),
        "redirects": (redirect_line(each, manifest) for each in manifest.redirects),
        "consent": map(consent_line, manifest.consents),
        "egress": (egress_line(each, manifest) for each in manifest.egress),
        "exposure": map(_exposure, manifest.services),
        "sandbox": (line for each in manifest.services for line in _sandbox(each)),
        "credentials": map(_credential, manifest.credentials),
        "leaks": (line for each in manifest.leaks for line in _leak(each)),
        "system": (*_accounts(manifest), *_contributions(manifest)),
        "checks": map(_check, described.checks),
    }
    sections = (Section(heading, tuple(lines)) for heading, lines in written.items())
    return tuple(section for section in sections if section.lines)


def _relations(manifest: Manifest) -> Iterator[str]:
    if manifest.requires:
        yield f"requires {listing(manifest.requires)}"
    if manifest.provides:
        yield f"provides {listing(manifest.provides)}"
    if manifest.conflicts:
        yield f"excludes {listing(manifest.conflicts)}"
    if len(manifest.targets) == 1:
        yield f"only for a target of type {manifest.targets[0]}"
    for refusal in manifest.refuses:
        exceptions = exception(refusal.unless)
        yield f"refused{condition(refusal.when)}{exceptions}: {refusal.because}; {refusal.hint}"
    for rule in manifest.first_words:
        words = f"each of {code(rule.option)} begins with a word of {code(rule.of)}"
        yield f"{words}{condition(rule.when)}: {rule.because}"
    for forward in manifest.forwards:
        targets = f"every port in {code(forward.option)} is one that a component opens to"
        yield f"{targets} {forward.user}, every socket no component's{condition(forward.when)}"


def _option(name: str, option: Option) -> str:
    kind = f"one of {listing(map(code, option.choices))}" if option.choices else option.type
    default = "to be given" if option.default is None else f"default {spell(option.default)}"
    limits = "".join(
        f" {words} {limit}"
        for words, limit in (
            ("from", option.least),
            ("to", option.most),
            ("of at least", option.fewest),
        )
        if limit is not None
    )
    return f"{code(name)}: {kind}{limits}, {default}. {option.doc}"


def _exposure(service: Service) -> str:
    because = f": {service.because}" if service.because else ""
    return f"{service.unit}: at most {score(service.exposure)}{because}{condition(service.when)}"


def _sandbox(service: Service) -> Iterator[str]:
    account = f"user {service.user}" + (
        ", which it becomes by itself" if service.drops_privileges else ""
    )
    if service.unconfined:
        yield f"{service.unit} has no AppArmor profile: {service.unconfined}"
    if not service.sandbox:
        yield f"{service.unit}: {account}, without a sandbox{condition(service.when)}"
        return
    yield f"{service.unit}: {account}{condition(service.when)}"
    if service.mounts:
        yield f"{service.unit} mounts for everybody: nothing is hidden from it"
    lists: dict[str, Iterable[str]] = {
        "may keep": service.capabilities,
        "starts with": service.ambient,
        "writes": service.writes,
        "reaches the sockets": service.sees_sockets,
    }
    for what, elements in lists.items():
        if written := listing(elements):
            yield f"{service.unit} {what} {written}"
    for setting, relaxed in service.relaxes.items():
        values = " and ".join((relaxed.to, *relaxed.also))
        yield f"{service.unit} has {setting}={values}: {relaxed.because}"


def _credential(credential: Credential) -> str:
    return f"{code(credential.name)}{condition(credential.when)}: {credential.doc}"


def _leak(leak: Leak) -> Iterator[str]:
    """Tell what a program does, then each switch, then what is left."""
    yield f"{leak.program} {leak.tells} ({leak.source}){condition(leak.when)}"
    switches = {
        "ended in the environment": leak.environment,
        "ended by dconf, locked": leak.dconf,
        "ended by debconf": leak.debconf,
    }
    for what, settings in switches.items():
        if settings:
            written = listing(f"{key}={value}" for key, value in settings.items())
            yield f"{leak.program}, {what}: {written}"
    if leak.by_hand:
        yield f"{leak.program}, ended by hand: {leak.by_hand}"
    if leak.left:
        refused = f"; refused: {listing(leak.packages)}" if leak.packages else ""
        yield f"{leak.program}, never ended: {leak.left}{refused}"


def _accounts(manifest: Manifest) -> Iterator[str]:
    for group in manifest.groups:
        members = ", with every person in it" if group.for_people else ""
        yield f"group: {group.name} ({group.gid}){members}{condition(group.when)}"
    for user in manifest.users:
        groups = f", in {listing(user.groups)}" if user.groups else ""
        yield f"user: {user.name} ({user.uid}){groups}{condition(user.when)}"


def _contributions(manifest: Manifest) -> Iterator[str]:
    yield from _contribution(manifest, "")
    for each in manifest.optional:
        yield from _contribution(each, condition(each.when))


def _contribution(part: Contribution, ending: str) -> Iterator[str]:
    lists: dict[str, Iterable[str]] = {
        "packages": part.packages,
        "units enabled": part.units.enable,
        "units disabled": part.units.disable,
        "units masked": part.units.mask,
        "kernel modules": part.kernel_modules,
        "modules blocked": part.blocked_modules,
        "kernel arguments": part.kernel_arguments,
        "tunnels": part.tunnels,
        "sysctl": (f"{key}={value}" for key, value in part.sysctl.items()),
        "needs": (f"{each.name} ({each.because})" for each in part.needs),
        "takes away": (f"{each.name} ({each.because})" for each in part.takes_away),
    }
    for what, elements in lists.items():
        if written := listing(elements):
            yield f"{what}: {written}{ending}"


def _check(check: CheckPromise) -> str:
    tiers = " and ".join(check.tiers)
    spoiling = ", on a snapshot" if check.is_destructive else ""
    return f"{code(check.name)} ({tiers}{spoiling}): {check.promise}"
