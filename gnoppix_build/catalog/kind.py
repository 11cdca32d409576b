# SPDX-License-Identifier: GPL-3.0-or-later
"""Kinds of components: each is a contract that its components have to keep."""

from typing import Literal

from gnoppix_build.catalog.declaration import Declaration
from gnoppix_build.language.leaves import KebabName, Line, Switch, UnitSetting

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
    folders of `never_has`; it needs the features of `needs`. With `is_confined` each of its users
    declares that it sends nothing, not even on this machine, and nobody listens beyond it; with
    `is_carried` none reaches the network but through another component. Either way each service
    that it starts is among its `services`, and none of them relaxes a setting of `never_relaxes`.
    All that is because of what `because` says.
    """

    layer: Literal["base", "packages"]
    summary: Line
    declares: tuple[Key, ...] = ()
    never_declares: tuple[Key, ...] = ()
    never_has: tuple[Folder, ...] = ()
    never_relaxes: tuple[UnitSetting, ...] = ()
    needs: tuple[KebabName, ...] = ()
    is_confined: Switch = False
    is_carried: Switch = False
    because: Line = ""
