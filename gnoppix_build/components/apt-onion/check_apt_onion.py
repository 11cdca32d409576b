# SPDX-License-Identifier: GPL-3.0-or-later
"""What `apt-onion` promises of a system."""

import re
from collections.abc import Mapping
from typing import Any

import pytest

SOURCES = "/etc/apt/onion-sources.d"
CONFIGURATION = "/etc/apt/apt.conf.d/zz-gnoppix-onion"
TIMER = "gnoppix-apt-refresh.timer"
ONION = r"tor\+http://[a-z2-7]{56}\.onion/[a-z-]+"
IN_FORCE = {
    "apt::sandbox::user": "_apt",
    "dir::bin::methods::ftp": "false",
    "dir::bin::methods::http": "false",
    "dir::bin::methods::https": "false",
    "dir::etc::sourcelist": "/dev/null",
    "dir::etc::sourceparts": SOURCES,
}


@pytest.mark.static
def test_sources_are_onion_services_only(host: Any) -> None:
    """Every source that apt reads is an onion service by way of Tor, signed by Debian."""
    assert host.find_files(f"{SOURCES}/*") == [f"{SOURCES}/debian.sources"]
    fields: dict[str, list[str]] = {}
    for line in host.file(f"{SOURCES}/debian.sources").content_string.splitlines():
        if line and not line.startswith("#"):
            key, _, value = line.partition(": ")
            fields.setdefault(key, []).append(value)
    assert len(fields["URIs"]) == 2
    assert all(re.fullmatch(ONION, uri) for uri in fields["URIs"]), fields["URIs"]
    assert {*fields["Signed-By"]} == {"/usr/share/keyrings/debian-archive-keyring.pgp"}
    assert host.file("/usr/share/keyrings/debian-archive-keyring.pgp").exists


@pytest.mark.static
def test_nothing_is_read_after_our_settings(host: Any) -> None:
    """No file of apt's settings comes after ours, so that none undoes them."""
    files = [path for path in host.find_files("/etc/apt/apt.conf.d/*") if ".dpkg-" not in path]
    assert max(files) == CONFIGURATION
    assert not host.file("/etc/apt/apt.conf").exists


@pytest.mark.static
@pytest.mark.running
def test_timers_are_quiet(host: Any, options: Mapping[str, Any]) -> None:
    """Nothing is installed unasked, and lists are fetched only if the profile wants it."""
    assert not host.service("apt-daily.timer").is_enabled
    assert not host.service("apt-daily-upgrade.timer").is_enabled
    assert host.file(f"/etc/systemd/system/{TIMER}").exists == (options["refresh"] == "daily")
    if options["refresh"] == "daily":
        assert host.service(TIMER).is_enabled


@pytest.mark.running
def test_settings_are_in_force(host: Any, policy: Any) -> None:
    """What apt goes by is what was written: no method but Tor's, and tor's own port."""
    lines = host.check_output("apt-config dump").splitlines()
    pairs = (re.fullmatch(r'(\S+) "(.*)";', line) for line in lines)
    found = {pair[1].lower(): pair[2] for pair in pairs if pair}
    assert {key: found.get(key) for key in IN_FORCE} == IN_FORCE
    proxy = re.fullmatch(r"socks5h://apt@127\.0\.0\.1:(\d+)", found["acquire::tor::proxy"])
    assert proxy is not None
    doors = {each.port for each in policy.listeners if each.user == "debian-tor"}
    assert int(proxy[1]) in doors


@pytest.mark.running
def test_no_other_source_is_in_force(host: Any) -> None:
    """All that apt would fetch is of an onion service, also when a foreign source is put in."""
    foreign = "/etc/apt/sources.list.d/foreign.list"
    host.check_output("sh -c %s", f"echo 'deb http://192.0.2.1/x y z' > {foreign}")
    try:
        lines = host.check_output("apt-get --print-uris update").splitlines()
    finally:
        host.check_output(f"rm {foreign}")
    assert lines, "apt has no source at all"
    assert [line for line in lines if not re.match(f"'{ONION}/dists/", line)] == []


@pytest.mark.running
def test_apt_cannot_fetch_without_tor(host: Any) -> None:
    """A plain address is refused by apt itself, before anything is sent."""
    tried = host.run("/usr/lib/apt/apt-helper download-file http://192.0.2.1/x /tmp/x")
    assert tried.rc != 0
    assert "The method 'http' is explicitly disabled" in tried.stderr
