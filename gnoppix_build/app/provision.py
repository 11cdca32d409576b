# SPDX-License-Identifier: GPL-3.0-or-later
"""Provisioning: a profile is brought to machines that run already, and shuts nobody out."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol

from gnoppix_build.catalog.load import Catalog
from gnoppix_build.diagnostics import Diagnostic
from gnoppix_build.policy.compile import compile_policy
from gnoppix_build.policy.way_in import Session, check_way_in
from gnoppix_build.resolve.model import Resolved
from gnoppix_build.targets.remote import MachineAddress


@dataclass(frozen=True, slots=True)
class Host:
    """A machine, the connection that its operator has to it, and whether that is one of root.

    There is no session for who sits at the machine itself.
    """

    address: MachineAddress
    session: Session | None
    is_root: bool


class Machines(Protocol):
    """Reaches machines."""

    def look_at(self, address: MachineAddress) -> Host:
        """Reach a machine and see how."""


def find_hosts(addresses: Sequence[MachineAddress], machines: Machines) -> tuple[Host, ...]:
    """Look how each machine is reached; changes nothing."""
    return tuple(map(machines.look_at, addresses))


def check_hosts(
    resolved: Resolved, hosts: Sequence[Host], catalog: Catalog
) -> Iterator[Diagnostic]:
    """Find machines whose operator the profile would shut out."""
    policy = compile_policy(resolved)
    for host in hosts:
        if host.session is not None:
            closed = check_way_in(resolved, policy, host.session, catalog)
            if closed is not None:
                yield closed
