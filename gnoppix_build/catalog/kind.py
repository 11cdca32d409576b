# SPDX-License-Identifier: GPL-3.0-or-later
"""Kinds of components: each is a contract that its components have to keep."""

from collections.abc import Iterator, Sequence
from typing import Final, Literal

from gnoppix_build.catalog.declaration import Declaration
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
    folders of `never_has`; with `is_confined` none of its users sends anything, not even on this
    machine. All that is because of what `because` says.
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
    for index, egress in enumerate(manifest.egress if kind.is_confined else ()):
        if not isinstance(egress, ConfinedEgress) or egress.reach != "none":
            message = f"a component of the kind `{name}` sends nothing: `reach: none`"
            yield Diagnostic(
                "contract", message, span_of(root, ("egress", index)), (), kind.because
            )
    for key in kind.declares:
        if not getattr(manifest, key):
            message = f"a component of the kind `{name}` has to declare its `{key}`"
            yield Diagnostic("contract", message, place, (), kind.because)
    for key in kind.never_declares:
        if child(root, key) is not None:
            message = f"a component of the kind `{name}` declares no `{key}`"
            yield Diagnostic("contract", message, key_span(root, (key,)), (), kind.because)


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
