# SPDX-License-Identifier: GPL-3.0-or-later
"""What `time` promises of a system."""

from collections.abc import Mapping
from typing import Any

import pytest

SET_CLOCK = "gnoppix-time"
CHRONY = "chrony.service"
CHRONY_FILE = "/etc/chrony/gnoppix.conf"
NTP_PORT = 123
WRITERS_OF_THE_HARDWARE_CLOCK = {"hwtimestamp", "rtcdevice", "rtcfile", "rtcsync"}
UNSYNCHRONISED = 0x40


def directives(host: Any) -> list[list[str]]:
    """Read chrony's file, as words."""
    lines = host.file(CHRONY_FILE).content_string.splitlines()
    return [line.split() for line in lines if line and not line.startswith("#")]


def udp_ports(frame: bytes) -> set[int]:
    """Give both ports of an IPv4 frame with UDP."""
    if frame[12:14] != b"\x08\x00" or frame[23] != 17:
        return set()
    start = 14 + 4 * (frame[14] & 0x0F)
    return {int.from_bytes(frame[at : at + 2]) for at in (start, start + 2)}


@pytest.mark.static
@pytest.mark.running
def test_source_is_the_only_one(host: Any, options: Mapping[str, object]) -> None:
    """What asks for the time is what the profile says, and nothing beside it."""
    assert host.service("systemd-timesyncd").is_masked
    if options["source"] == "tor":
        assert host.service(f"{SET_CLOCK}.timer").is_enabled
        assert host.service("htpdate").is_masked
        assert not host.package("chrony").is_installed
    else:
        assert host.service("chrony").is_enabled
        assert host.service("gnoppix-time-names").is_enabled
        assert not host.package("htpdate").is_installed


@pytest.mark.static
def test_htpdate_asks_through_tor(host: Any, options: Mapping[str, object]) -> None:
    """The question goes to tor's port, and its servers are asked by TLS."""
    if options["source"] != "tor":
        pytest.skip("the source is not Tor")
    lines = host.file("/etc/gnoppix/time-torsocks.conf").content_string.splitlines()
    ports = [line.removeprefix("TorPort ") for line in lines if line.startswith("TorPort ")]
    assert "TorAddress 127.0.0.1" in lines
    assert [port.isdecimal() for port in ports] == [True]
    servers = options["servers"]
    assert isinstance(servers, tuple)
    assert [each for each in servers if not each.startswith("https://")] == []
    assert host.file("/usr/lib/gnoppix/set-clock").is_executable


@pytest.mark.static
def test_chrony_asks_by_nts_only(host: Any, options: Mapping[str, object]) -> None:
    """Every source is authenticated, none comes from elsewhere, and nobody is answered."""
    if options["source"] != "nts":
        pytest.skip("the source is not NTS")
    known = directives(host)
    sources = [each for each in known if each[0] in {"peer", "pool", "refclock", "server"}]
    assert sources, "there is no source"
    assert all(each[0] == "server" and "nts" in each[2:] for each in sources)
    elsewhere = {"confdir", "include", "sourcedir"}
    assert {each[0] for each in known} & (elsewhere | WRITERS_OF_THE_HARDWARE_CLOCK) == set()
    assert ["authselectmode", "require"] in known
    assert ["port", "0"] in known
    drop_in = host.file(f"/etc/systemd/system/{CHRONY}.d/50-gnoppix.conf").content_string
    starts = [line for line in drop_in.splitlines() if line.startswith("ExecStart=/")]
    assert starts == [f"ExecStart=/usr/sbin/chronyd -n -U -f {CHRONY_FILE}"]


@pytest.mark.running
def test_clock_is_asked_for(host: Any, options: Mapping[str, object]) -> None:
    """The service waits for its next question, or runs."""
    unit = CHRONY if options["source"] == "nts" else f"{SET_CLOCK}.timer"
    assert host.service(unit).is_running


@pytest.mark.running
def test_kernel_does_not_copy_the_clock(host: Any) -> None:
    """The kernel writes the hardware clock only while it is told that the system's is right."""
    program = (
        "import ctypes; data = ctypes.create_string_buffer(256); "
        "libc = ctypes.CDLL(None); libc.adjtimex(data); "
        "print(int.from_bytes(data.raw[40:44], 'little'))"
    )
    status = int(host.check_output("python3 -c %s", program))
    assert status & UNSYNCHRONISED


@pytest.mark.running
def test_no_time_is_asked_in_the_clear(host: Any, wire: Any, options: Mapping[str, object]) -> None:
    """Starting what asks for the time sends nothing to or from NTP's port, unless by NTS."""
    unit = CHRONY if options["source"] == "nts" else f"{SET_CLOCK}.service"

    def ask() -> None:
        host.run(f"timeout 10 systemctl restart {unit}")

    frames = wire.frames_during(ask)
    asked = [frame for frame in frames if NTP_PORT in udp_ports(frame)]
    if options["source"] == "tor":
        assert asked == []
    # Without cookies from a server there is nothing that chrony could ask by NTS.
    plain = [frame for frame in asked if len(frame) <= 14 + 20 + 8 + 48]
    assert plain == []
