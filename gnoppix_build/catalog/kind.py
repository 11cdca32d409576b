# SPDX-License-Identifier: GPL-3.0-or-later
"""Kinds of components: each is a contract that its components have to keep."""

from collections.abc import Iterator, Sequence
from ipaddress import ip_address
from typing import Final, Literal

from gnoppix_build.catalog.declaration import Condition, Declaration, FromOption
from gnoppix_build.catalog.manifest import Manifest
from gnoppix_build.catalog.network import ConfinedEgress
from gnoppix_build.diagnostics import Diagnostic
from gnoppix_build.language.leaves import Line, Switch
from gnoppix_build.language.node import Node, child, key_span, span_of

EXPOSED: Final = 20
"""Tenths of exposure beyond which a service has to say why."""

Key = Literal[
    "egress",
    "groups",
    "listens",
    "model",
    "packages",
    "redirects",
    "services",
    "sockets",
    "units",
    "users",
]
Folder = Literal["files", "tasks"]


class Kind(Declaration):
    """The contract of a kind of components.

    A component declares every key of `declares`, none of `never_declares`, and has none of the
    folders of `never_has`; with `is_confined` each of its users declares that it sends nothing, not
    even on this machine, and nobody listens beyond it. All that is because of what `because` says.
    """

    layer: Literal["base", "packages"]
    summary: Line
    declares: tuple[Key, ...] = ()
    never_declares: tuple[Key, ...] = ()
    never_has: tuple[Folder, ...] = ()
    is_confined: Switch = False
    because: Line = ""


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
    if kind.is_confined:
        yield from _check_confinement(name, kind, manifest, root)
    for key in kind.declares:
        if not getattr(manifest, key):
            message = f"a component of the kind `{name}` has to declare its `{key}`"
            yield Diagnostic("contract", message, place, (), kind.because)
    for key in kind.never_declares:
        if child(root, key) is not None:
            message = f"a component of the kind `{name}` declares no `{key}`"
            yield Diagnostic("contract", message, key_span(root, (key,)), (), kind.because)


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
