# SPDX-License-Identifier: GPL-3.0-or-later
"""Holding a component against the contract of its kind."""

from collections.abc import Iterator, Sequence
from ipaddress import ip_address
from typing import Final

from gnoppix_build.catalog.declaration import Condition, FromOption
from gnoppix_build.catalog.kind import Kind
from gnoppix_build.catalog.manifest import Manifest
from gnoppix_build.catalog.network import ConfinedEgress, DirectEgress, LinkEgress
from gnoppix_build.diagnostics import Diagnostic
from gnoppix_build.language.node import Node, child, key_span, span_of

EXPOSED: Final = 20
"""Tenths of exposure beyond which a service has to say why."""


def check_contract(
    name: str, kind: Kind, manifest: Manifest, root: Node, folders: Sequence[str]
) -> Iterator[Diagnostic]:
    """Find what a component lacks, or has too much, for its kind; `folders` are those it has."""
    place = (child(root, "kind") or root).span
    if manifest.model is not None and "model" not in kind.declares:
        message = f"a component of the kind `{name}` is no model"
        yield Diagnostic("contract", message, key_span(root, ("model",)))
    for folder in kind.never_has:
        if folder in folders:
            message = f"a component of the kind `{name}` has no folder `{folder}`"
            yield Diagnostic("contract", message, place, (), kind.because)
    yield from _check_ways_out(name, kind, manifest, root)
    for feature in sorted({*kind.needs} - {each.name for each in manifest.needs}):
        message = f"a component of the kind `{name}` has to say that it needs `{feature}`"
        yield Diagnostic("contract", message, place, (), kind.because)
    for key in kind.declares:
        if not getattr(manifest, key):
            message = f"a component of the kind `{name}` has to declare its `{key}`"
            yield Diagnostic("contract", message, place, (), kind.because)
    for key in kind.never_declares:
        if child(root, key) is not None:
            message = f"a component of the kind `{name}` declares no `{key}`"
            yield Diagnostic("contract", message, key_span(root, (key,)), (), kind.because)


def _check_ways_out(name: str, kind: Kind, manifest: Manifest, root: Node) -> Iterator[Diagnostic]:
    if kind.is_confined:
        yield from _check_confinement(name, kind, manifest, root)
    if kind.is_carried:
        yield from _check_carriers(name, kind, manifest, root)
    if kind.is_confined or kind.is_carried:
        yield from _check_sandboxes(name, kind, manifest, root)


def _check_confinement(
    name: str, kind: Kind, manifest: Manifest, root: Node
) -> Iterator[Diagnostic]:
    """Find who of a confined component may send, does not say that it does not, or is exposed."""
    silent: dict[str, list[Condition]] = {}
    for index, egress in enumerate(manifest.egress):
        if isinstance(egress, ConfinedEgress) and egress.reach == "none":
            silent.setdefault(egress.user, []).append(egress.when)
            continue
        message = f"a component of the kind `{name}` sends nothing: `reach: none`"
        yield Diagnostic("contract", message, span_of(root, ("egress", index)), (), kind.because)
    named = [(each.name, each.when, ("users", at)) for at, each in enumerate(manifest.users)]
    named += [(each.user, each.when, ("services", at)) for at, each in enumerate(manifest.services)]
    for user, when, path in named:
        if not any(not condition or condition == when for condition in silent.get(user, ())):
            message = f"nothing says that `{user}` sends nothing, as with the kind `{name}`"
            hint = f"add `{{user: {user}, reach: none}}` to `egress`"
            yield Diagnostic("contract", message, span_of(root, path), (), hint)
    for index, listener in enumerate(manifest.listens):
        address = listener.address
        if isinstance(address, FromOption) or not ip_address(address).is_loopback:
            message = f"a component of the kind `{name}` listens on this machine only"
            place = span_of(root, ("listens", index, "address"))
            yield Diagnostic("contract", message, place, (), "listen at `127.0.0.1`")


def _check_carriers(name: str, kind: Kind, manifest: Manifest, root: Node) -> Iterator[Diagnostic]:
    """Find what goes to the network by itself."""
    for index, egress in enumerate(manifest.egress):
        if isinstance(egress, DirectEgress | LinkEgress):
            message = f"a component of the kind `{name}` reaches the network through another one"
            place = span_of(root, ("egress", index))
            yield Diagnostic("contract", message, place, (), kind.because)


def _check_sandboxes(name: str, kind: Kind, manifest: Manifest, root: Node) -> Iterator[Diagnostic]:
    """Find services without a compiled sandbox, and holes in the sandbox of others."""
    for index, service in enumerate(manifest.services):
        for setting in sorted({*service.relaxes} & {*kind.never_relaxes}):
            message = f"a service of the kind `{name}` does not relax `{setting}`"
            place = span_of(root, ("services", index, "relaxes", setting))
            yield Diagnostic("contract", message, place, (), kind.because)
    sandboxed = {each.unit for each in manifest.services}
    started: list[tuple[tuple[str | int, ...], str]] = [
        (("units", "enable", at), unit) for at, unit in enumerate(manifest.units.enable)
    ]
    for index, part in enumerate(manifest.optional):
        above = ("optional", index, "units", "enable")
        started += [((*above, at), unit) for at, unit in enumerate(part.units.enable)]
    for path, unit in started:
        if unit.endswith(".service") and unit not in sandboxed:
            message = f"`{unit}` is started, and no sandbox is declared for it"
            hint = "declare it in `services`"
            yield Diagnostic("contract", message, span_of(root, path), (), hint)


def check_exposures(manifest: Manifest, root: Node) -> Iterator[Diagnostic]:
    """Find services that are exposed beyond what goes without saying."""
    for index, service in enumerate(manifest.services):
        if service.exposure > EXPOSED and not service.because:
            yield Diagnostic(
                "exposure-without-reason",
                f"`{service.unit}` may be exposed beyond 2.0, and nothing says why",
                span_of(root, ("services", index, "exposure")),
                (),
                "add `because: ...` beside it, or narrow its sandbox",
            )
