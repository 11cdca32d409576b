# SPDX-License-Identifier: GPL-3.0-or-later
"""What the checks of a run are given."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from gnoppix_build.checks.finding import Finding


class Wire(Protocol):
    """A recording of the target's network card."""

    def frames_during(self, action: Callable[[], object]) -> list[bytes]:
        """Give the Ethernet frames recorded while the action ran."""
        ...

    def sent_during(self, action: Callable[[], object]) -> list[bytes]:
        """Give those of them that the target sent."""
        ...


class DhcpMessage(Protocol):
    """What a target told a DHCP server."""

    @property
    def hardware(self) -> bytes:
        """Give the hardware address that it names."""
        ...

    @property
    def options(self) -> Mapping[int, bytes]:
        """Give the options by their number."""
        ...


class Lan(Protocol):
    """The hostile network that a target's card is on, and what the target sent there."""

    def sent(self) -> list[bytes]:
        """Give every frame that the target has sent since it was started."""
        ...

    def dhcp_messages(self) -> Sequence[DhcpMessage]:
        """Give what the target has told the DHCP server."""
        ...

    def lies(self) -> frozenset[str]:
        """Give the addresses and names that only this network's lies could have told."""
        ...

    def hardware_address(self) -> bytes:
        """Give the address that the target's card was made with."""
        ...


class Snapshots(Protocol):
    """A target that can go back to a state that it had."""

    def save(self, name: str) -> None:
        """Keep the state under a name."""
        ...

    def restore(self, name: str) -> None:
        """Go back to the state of that name."""
        ...


@dataclass(frozen=True)
class CheckContext:
    """The target and what it is held against.

    `options`: component -> its resolved options. `abort_on`: exceptions that say something about
    the test bench and not about the target; they end the run and are raised by it. `tell` is given
    each finding as soon as there is one.
    """

    host: object
    options: Mapping[str, Mapping[str, object]] = field(default_factory=dict)
    policy: object = None
    profile: object = None
    wire: Wire | None = None
    lan: Lan | None = None
    snapshots: Snapshots | None = None
    abort_on: tuple[type[BaseException], ...] = ()
    tell: Callable[[Finding], None] = lambda _finding: None
