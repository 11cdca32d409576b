# SPDX-License-Identifier: GPL-3.0-or-later
"""What a component declares of its units: what each needs, from which its sandbox follows."""

from pydantic import Field

from gnoppix_build.catalog.declaration import Condition, Declaration
from gnoppix_build.catalog.network import Namespace
from gnoppix_build.language.leaves import (
    Capability,
    Exposure,
    Line,
    PathOfEach,
    Switch,
    SystemPath,
    UnitName,
    UnitSetting,
    UserName,
)


class Relaxation(Declaration):
    """A setting of the sandbox that is written otherwise for a unit, and why.

    `also`: further values, of a setting that takes one a line.
    """

    to: Line
    also: tuple[Line, ...] = ()
    because: Line


class Service(Declaration):
    """A unit whose sandbox is compiled from the baseline and from what `user` declares.

    `drops_privileges`: it starts as root and becomes `user` by itself. `capabilities` bounds it,
    `ambient` are those that it has from the start; `writes` are paths that it may write, and
    `sees_sockets` Unix sockets of others that it may reach (with `{model}` as in `sockets`).
    With `mounts` it mounts where everybody sees it, so nothing is hidden from it; with
    `sandbox: off` it stays as its package has it. `exposure` is the most that systemd-analyze(1),
    "security", may say of it; more than 2.0 needs `because`. `unconfined` is why one with a network
    is held to no AppArmor profile.
    """

    unit: UnitName
    user: UserName
    drops_privileges: Switch = False
    capabilities: tuple[Capability, ...] = ()
    ambient: tuple[Capability, ...] = ()
    writes: tuple[SystemPath, ...] = ()
    sees_sockets: tuple[PathOfEach, ...] = ()
    relaxes: dict[UnitSetting, Relaxation] = Field(default_factory=dict)
    exposure: Exposure
    because: Line = ""
    unconfined: Line = ""
    namespace: Namespace = "system"
    mounts: Switch = False
    sandbox: Switch = True
    when: Condition = Field(default_factory=dict)
