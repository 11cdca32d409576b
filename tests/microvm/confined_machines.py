# SPDX-License-Identifier: GPL-3.0-or-later
"""Two machines with an AppArmor kernel, each for one boot: NetworkManager's and OpenVPN's.

Both ask for the time by NTS at the far end of their cable, which is put in when they are up.
"""

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import vpn_far_end as far_end
from bench import Built
from clock_watch import DAY_S, ClockSeen, WireSeen, judge_wire, watch_from_now
from guest import Guest, booted
from time_servers import TimeServers
from vpn_far_end import FarEnd
from vpn_line import ASK

NETWORK_MANAGER, OPENVPN = "NetworkManager.service", "gnoppix-openvpn.service"
OURS = "gnoppix."
HAS_WAY_OUT = "ip route show default | grep -q ."
# What no profile of ours lets a service read.
FORBIDDEN = "/etc/shadow"
WRITE_HARDWARE_CLOCK = """python3 -c '
import fcntl, struct, time
now = time.gmtime()
date = (now.tm_sec, now.tm_min, now.tm_hour, now.tm_mday, now.tm_mon - 1, now.tm_year - 1900)
fcntl.ioctl(open("/dev/rtc0"), 0x4024700A, struct.pack("9i", *date, 0, 0, 0))
'"""


@dataclass(frozen=True)
class Seen:
    """What one boot showed.

    `labels`: of each process of the service. `denied`: what any profile of ours refused while it
    worked.
    `refused`: what it refused when the program was made to read what is not its business, and
    `refused_without`: the same without the profile.
    """

    clock: ClockSeen
    wire: WireSeen
    labels: tuple[str, ...]
    denied: tuple[str, ...]
    refused: tuple[str, ...]
    refused_without: tuple[str, ...]
    hardware_once_written: float


class Lan:
    """The far end of a cable, and the time servers there."""

    def __init__(self, far: FarEnd, work: Path) -> None:
        self.far = far
        self.work = work
        self.tap = far.connect_tap()
        far.make_certificates()
        self.servers = TimeServers(far, work)
        self.servers.start(far_end.days_around(30))


def run_network_manager(image: Built, lan: Lan, work: Path) -> Seen:
    """Boot a machine whose clock is a day ahead; its card gets, loses and gets a network again."""

    def use(guest: Guest) -> ClockSeen:
        at_start = guest.is_off_by()
        guest.plug(is_in=True)
        guest.wait_until(lambda: guest.is_true(HAS_WAY_OUT), "address")
        lan.servers.name_to(guest)
        clock = watch_from_now(guest, at_start, image, "a day ahead, card addressed")
        guest.plug(is_in=False)
        guest.wait_until(lambda: not guest.is_true(HAS_WAY_OUT), "end of the address")
        guest.plug(is_in=True)
        guest.wait_until(lambda: guest.is_true(HAS_WAY_OUT), "address again")
        return clock

    program = f"/usr/sbin/NetworkManager --print-config --config {FORBIDDEN}"
    return _watch(
        image, lan, work, DAY_S, (NETWORK_MANAGER, "gnoppix.NetworkManager", program), use
    )


def run_openvpn(image: Built, lan: Lan, work: Path) -> Seen:
    """Boot a machine whose clock is a day behind; its tunnel comes, goes and comes again."""
    lan.far.start_openvpn("udp")

    def is_through(guest: Guest) -> bool:
        there = f"{far_end.INSIDE_OPENVPN} {far_end.GREETING_PORT} '{far_end.GREETING}'"
        return guest.is_true(f"python3 /root/ask.py {there}")

    def use(guest: Guest) -> ClockSeen:
        at_start = guest.is_off_by()
        _give_login(guest, lan.work)
        guest.plug(is_in=True)
        guest.said(f"systemctl --no-block start {OPENVPN}")
        guest.wait_until(lambda: guest.is_true(HAS_WAY_OUT), "tunnel")
        lan.servers.name_to(guest)
        clock = watch_from_now(guest, at_start, image, "a day behind, tunnel up")
        guest.write("/root/ask.py", ASK.encode())
        guest.wait_until(lambda: is_through(guest), "way through the tunnel")
        guest.said(f"systemctl stop {OPENVPN}")
        guest.wait_until(lambda: not guest.is_true("ip link show tun0"), "end of the tunnel")
        assert not is_through(guest)
        guest.said(f"systemctl --no-block start {OPENVPN}")
        guest.wait_until(lambda: is_through(guest), "way through the tunnel again")
        return clock

    program = f"/usr/sbin/openvpn --config {FORBIDDEN}"
    return _watch(image, lan, work, -DAY_S, (OPENVPN, "gnoppix.openvpn", program), use)


def _watch(
    image: Built,
    lan: Lan,
    work: Path,
    clock_off_s: int,
    confined: tuple[str, str, str],
    use: Callable[[Guest], ClockSeen],
) -> Seen:
    unit, profile, program = confined
    with (
        lan.far.recorded() as frames,
        booted(image, lan.tap, work, clock_off_s, plugged=False) as guest,
    ):
        lan.servers.vouch_to(guest)
        guest.said("systemctl restart chrony.service", timeout_s=300)
        guest.machine.wait_for_boot()
        clock = use(guest)
        labels, denied = labels_of(guest, unit), denials_of(guest, OURS)
        without, within = (
            _refused(guest, profile, f"systemd-run --wait --quiet {held} {program}")
            for held in ("", f"--property=AppArmorProfile={profile}")
        )
        guest.said(WRITE_HARDWARE_CLOCK)
        written = guest.hardware_clock_is_off_by()
    return Seen(clock, judge_wire(frames, image), labels, denied, within, without, written)


def labels_of(guest: Guest, unit: str) -> tuple[str, ...]:
    """Read the label of each process of a unit."""
    group = guest.said(f"systemctl show --property=ControlGroup --value {unit}")
    read = f"for p in $(cat /sys/fs/cgroup{group}/cgroup.procs); do cat /proc/$p/attr/current; done"
    return tuple(guest.said(read).splitlines())


def denials_of(guest: Guest, profile: str) -> tuple[str, ...]:
    """Read what profiles that begin so have refused since the start, by the kernel's log."""
    sources = "_TRANSPORT=kernel + _TRANSPORT=audit"
    journal = guest.said(f"journalctl --boot --output=json --output-fields=MESSAGE {sources}")
    said = (str(json.loads(line)["MESSAGE"]) for line in journal.splitlines())
    words = ('apparmor="DENIED"', f'profile="{profile}')
    return tuple(line for line in said if all(word in line for word in words))


def _refused(guest: Guest, profile: str, command: str) -> tuple[str, ...]:
    """Give what a profile refuses because of a command."""
    before = len(denials_of(guest, profile))
    guest.run(command)
    return denials_of(guest, profile)[before:]


def _give_login(guest: Guest, work: Path) -> None:
    for name, file in (("certificate", "client.crt"), ("key", "client.key")):
        guest.write(f"/etc/credstore/openvpn.{name}", (work / file).read_bytes(), 0o600)
    guest.write("/etc/openvpn/ca.crt", (work / "ca.crt").read_bytes())
