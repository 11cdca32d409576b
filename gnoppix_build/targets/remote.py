# SPDX-License-Identifier: GPL-3.0-or-later
"""Machines that run already: the address of one, as a person writes it."""

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from ipaddress import IPv6Address

LOCAL = "local"
_SSH = re.compile(
    r"ssh://(?:(?P<user>[a-z_][a-z0-9_.-]{0,31})@)?"
    r"(?P<host>[A-Za-z0-9](?:[A-Za-z0-9._-]*[A-Za-z0-9])?|\[[0-9a-f:.]+\])(?::(?P<port>[0-9]{1,5}))?"
)
_LAST_PORT = 65535


class NotAnAddress(ValueError):
    """A text is no address of a machine."""


@dataclass(frozen=True, slots=True)
class MachineAddress:
    """Where a machine is reached; no `host`: it is this one. No user, port: as ssh is set up."""

    name: str
    host: str = ""
    user: str = ""
    port: int = 0

    @property
    def is_local(self) -> bool:
        """Tell whether it is this machine."""
        return not self.host

    def ssh_arguments(self) -> tuple[str, ...]:
        """Give the arguments of ssh(1) that say who is where."""
        user = ("-l", self.user) if self.user else ()
        port = ("-p", str(self.port)) if self.port else ()
        return (*user, *port, self.host)


def parse_address(text: str) -> MachineAddress:
    """Read `local` or `ssh://[USER@]HOST[:PORT]`; raises NotAnAddress."""
    if text == LOCAL:
        return MachineAddress(LOCAL)
    found = _SSH.fullmatch(text)
    port = int(found["port"] or 0) if found else 0
    if found is None or port > _LAST_PORT or (found["port"] and port == 0):
        raise NotAnAddress(f"`{text}` is neither `local` nor `ssh://[USER@]HOST[:PORT]`")
    host = found["host"].strip("[]")
    if found["host"].startswith("[") and not _is_ipv6(host):
        raise NotAnAddress(f"`{host}` is no IPv6 address")
    return MachineAddress(host, host, found["user"] or "", port)


def name_apart(addresses: Sequence[MachineAddress]) -> tuple[MachineAddress, ...]:
    """Put the port into the names of those that share a host, as machines behind a gateway do.

    By HOST:PORT Ansible would know them as one machine again.
    """
    shared = Counter(address.host for address in addresses if not address.is_local)
    return tuple(
        replace(address, name=f"{address.name}_{address.port}")
        if address.port and shared[address.host] > 1
        else address
        for address in addresses
    )


def _is_ipv6(host: str) -> bool:
    try:
        IPv6Address(host)
    except ValueError:
        return False
    return True
