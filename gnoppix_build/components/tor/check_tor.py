# SPDX-License-Identifier: GPL-3.0-or-later
"""What `tor` promises of a system."""

from collections.abc import Mapping
from typing import Any

import pytest

UNIT = "tor@default.service"
SECCOMP_FILTER = "2"
SOCKETS = ("/run/tor/socks", "/run/tor/control")


def main_process(host: Any) -> str:
    """Give the number of tor's process."""
    pid: str = host.check_output(f"systemctl show --property=MainPID --value {UNIT}")
    assert pid != "0", f"`{UNIT}` has no process"
    return pid


@pytest.mark.static
@pytest.mark.running
def test_tor_has_its_number(host: Any) -> None:
    """The user of tor has the number that the component declares."""
    assert host.user("debian-tor").uid == 110


@pytest.mark.static
def test_tor_reads_only_our_files(host: Any) -> None:
    """The unit names the component's own files in place of the package's."""
    drop_in = "/etc/systemd/system/tor@default.service.d/50-gnoppix.conf"
    starts = [
        line
        for line in host.file(drop_in).content_string.splitlines()
        if line.startswith("ExecStart=/")
    ]
    files = "--defaults-torrc /etc/tor/gnoppix-defaults.torrc -f /etc/tor/gnoppix.torrc"
    assert starts == [f"ExecStart=/usr/bin/tor {files} --RunAsDaemon 0"]


@pytest.mark.static
@pytest.mark.running
def test_names_are_asked_at_this_machine(host: Any) -> None:
    """No name server but this machine is known."""
    lines = host.file("/etc/resolv.conf").content_string.splitlines()
    servers = [line for line in lines if line.startswith("nameserver")]
    assert servers == ["nameserver 127.0.0.1"]


@pytest.mark.running
def test_tor_is_running(host: Any) -> None:
    """Tor has started and stays."""
    assert host.service(UNIT).is_running


@pytest.mark.running
def test_tor_is_confined_by_seccomp(host: Any) -> None:
    """Tor runs behind a filter of system calls, and is told to add its own."""
    status = host.file(f"/proc/{main_process(host)}/status").content_string
    fields = dict(line.split(":", 1) for line in status.splitlines())
    assert fields["Seccomp"].strip() == SECCOMP_FILTER
    assert "Sandbox 1" in host.file("/etc/tor/gnoppix.torrc").content_string.splitlines()


@pytest.mark.running
def test_tor_is_confined_by_apparmor(host: Any) -> None:
    """The package's AppArmor profile is enforced on tor."""
    label = host.check_output(f"cat /proc/{main_process(host)}/attr/current")
    assert label == "system_tor (enforce)"


@pytest.mark.running
def test_tor_has_no_open_sockets_in_the_file_system(host: Any) -> None:
    """There is no socket that a program without a network could use."""
    assert [path for path in SOCKETS if host.file(path).exists] == []


@pytest.mark.running
def test_tor_listens_only_where_it_says(host: Any, options: Mapping[str, object]) -> None:
    """Tor has no control port, and no port but those of its mode."""
    names = ["socks-port"]
    if options["mode"] == "transparent":
        names += ["dns-port", "trans-port"]
    pid = main_process(host)
    lines = host.check_output("ss -H -l -n -t -u -p").splitlines()
    found = {line.split()[4] for line in lines if f"pid={pid}," in line}
    assert found == {f"127.0.0.1:{options[name]}" for name in names}
