# SPDX-License-Identifier: GPL-3.0-or-later
"""How long an image takes to set a clock that is off by a day, and what the other one shows."""

from dataclasses import dataclass
from pathlib import Path

from bench import TIMES, Built
from guest import Guest, booted
from tor_network import TorNetwork

from gnoppix_build.cli import session
from gnoppix_build.policy.capture import compile_capture, judge_frames
from gnoppix_build.policy.compile import compile_policy

DAY_S = 86400
RIGHT_S = 300.0
"""By how much a clock may be off that counts as right, and how long setting it may take."""
TOR, TIME = "tor@default.service", "gnoppix-time.service"
NTP_PORT = 123
NTP_HEADER = 48


@dataclass(frozen=True)
class ClockSeen:
    """What became of the clocks, each by how many seconds it is before the host's.

    `seconds`: from the moment when there was a way to the time servers until the system clock was
    right.
    """

    at_start: float
    at_end: float
    hardware_at_end: float
    seconds: float


@dataclass(frozen=True)
class WireSeen:
    """What a machine sent that its policy does not know, and how often it asked by plain NTP."""

    strangers: tuple[str, ...]
    plain_questions: int


def wait_until_right(guest: Guest) -> float:
    """Return the guest's uptime when its clock is first seen to be right."""
    guest.wait_until(lambda: abs(guest.is_off_by()) < RIGHT_S, "right clock", 1.5 * RIGHT_S)
    return guest.uptime_s()


def tell(what: str, seconds: float) -> None:
    """Note what was measured, for the summary of the run."""
    TIMES.append(f"{what}: clock right {seconds:.1f} s later, of {RIGHT_S:.0f} s")


def judge_wire(frames: list[bytes], image: Built) -> WireSeen:
    """Hold what a machine sent against the policy of its image."""
    policy = compile_policy(session.require_profile(str(image.profile), ()))
    found = judge_frames(frames, compile_capture(policy), frozenset())
    return WireSeen(
        tuple(sorted({each.description for each in found})), _count_plain_questions(frames)
    )


def _count_plain_questions(frames: list[bytes]) -> int:
    """Count what was sent to NTP's port without anything that could authenticate the answer."""
    return sum(
        frame[12:14] == b"\x08\x00"
        and frame[23] == 17
        and int.from_bytes(frame[36:38], "big") == NTP_PORT
        and len(frame) <= 14 + 20 + 8 + NTP_HEADER
        for frame in frames
    )


def watch_over_tor(
    image: Built, network: TorNetwork, port: tuple[str, int], work: Path, clock_off_s: int
) -> tuple[ClockSeen, WireSeen]:
    """Boot an image in a private Tor network and wait until it has set its clock."""
    name, tap = port
    with (
        network.record(name) as frames,
        booted(image, tap, work, clock_off_s) as guest,
    ):
        at_start = guest.is_off_by()
        _join(guest, network)
        right = wait_until_right(guest)
        ready = guest.moments_of(TOR, "Bootstrapped 100%")
        assert ready, guest.tell()
        guest.wait_until(lambda: bool(guest.moments_of(TIME, "clock was off")), "word of it")
        seconds = right - ready[0]
        clock = ClockSeen(at_start, guest.is_off_by(), guest.hardware_clock_is_off_by(), seconds)
    tell(f"{image.name}, tor bootstrapped, off by {clock_off_s} s", seconds)
    return clock, judge_wire(frames, image)


def _join(guest: Guest, network: TorNetwork) -> None:
    """Make the private network that of the guest's tor, and its web server the one to ask."""
    guest.write("/root/authorities", "\n".join((*network.authorities, "")).encode())
    guest.said("cat /root/authorities >>/etc/tor/gnoppix.torrc")
    servers = " ".join(3 * (network.web_url,))
    guest.write("/etc/gnoppix/time.conf", f'SERVERS="{servers}"\n'.encode())
    guest.said(f"systemctl restart {TOR}", timeout_s=300)


def watch_from_now(guest: Guest, at_start: float, image: Built, what: str) -> ClockSeen:
    """Wait until a guest that has just got a network has set its clock; no frame is judged yet."""
    ready = guest.uptime_s()
    seconds = wait_until_right(guest) - ready
    tell(f"{image.name}, {what}", seconds)
    return ClockSeen(at_start, guest.is_off_by(), guest.hardware_clock_is_off_by(), seconds)
