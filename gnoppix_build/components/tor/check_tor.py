# SPDX-License-Identifier: GPL-3.0-or-later
"""What `tor` promises of a system."""

import re
from collections.abc import Mapping
from typing import Any

import pytest

UNIT = "tor@default.service"
DROP_IN = f"/etc/systemd/system/{UNIT}.d/50-gnoppix.conf"
TORRC = "/etc/tor/gnoppix.torrc"
SECCOMP_FILTER = "2"
SOCKS = "/run/tor/socks"
CONTROL = "/run/tor/control"
COOKIE = "/run/tor/control.authcookie"
# Asks tor for its version; what a stranger gets is a refusal of the kernel.
ASK = """
import pathlib, socket
connection = socket.socket(socket.AF_UNIX)
connection.connect("/run/tor/control")
cookie = pathlib.Path("/run/tor/control.authcookie").read_bytes().hex()
connection.sendall(f"AUTHENTICATE {cookie}\\r\\nGETINFO version\\r\\nQUIT\\r\\n".encode())
print(b"".join(iter(lambda: connection.recv(4096), b"")).decode())
"""
STRANGER = "--reuid=65534 --regid=65534 --clear-groups"
MEMBER = "--reuid=65534 --regid=65534 --groups=860"


def settings(host: Any) -> list[tuple[str, str]]:
    """Read the keys and values of torrc in their order."""
    lines = host.file(TORRC).content_string.splitlines()
    split = (line.partition(" ") for line in lines if line and not line.startswith("#"))
    return [(key, value) for key, _, value in split]


def values(host: Any, key: str) -> list[str]:
    """Read what torrc says under a key."""
    return [value for each, value in settings(host) if each == key]


def main_process(host: Any) -> str:
    """Give the number of tor's process."""
    pid: str = host.check_output(f"systemctl show --property=MainPID --value {UNIT}")
    assert pid != "0", f"`{UNIT}` has no process"
    return pid


def processes(host: Any) -> list[str]:
    """Give the numbers of all processes of the unit: tor, and the transport that it started."""
    group = host.check_output(f"systemctl show --property=ControlGroup --value {UNIT}")
    pids: list[str] = host.file(f"/sys/fs/cgroup{group}/cgroup.procs").content_string.split()
    return pids


def status(host: Any, pid: str) -> dict[str, str]:
    """Read the fields of a process's status, see proc_pid_status(5)."""
    lines = host.file(f"/proc/{pid}/status").content_string.splitlines()
    return {key: value.strip() for key, _, value in (line.partition(":") for line in lines)}


def service_names(options: Mapping[str, Any]) -> list[str]:
    """Name the onion services that the profile asks for."""
    return [each.split()[0] for each in options["onion-services"]]


@pytest.mark.static
@pytest.mark.running
def test_tor_has_its_numbers(host: Any, options: Mapping[str, Any]) -> None:
    """The user of tor, and the group that may steer it, have the declared numbers."""
    assert host.user("debian-tor").uid == 110
    if options["control"]:
        assert host.group("tor-control").gid == 860


@pytest.mark.static
def test_tor_reads_only_our_files(host: Any) -> None:
    """The unit names the component's own files in place of the package's."""
    lines = host.file(DROP_IN).content_string.splitlines()
    starts = [line for line in lines if line.startswith("ExecStart=/")]
    files = "--defaults-torrc /etc/tor/gnoppix-defaults.torrc -f /etc/tor/gnoppix.torrc"
    assert starts == [f"ExecStart=/usr/bin/tor {files} --RunAsDaemon 0"]
    defaults = host.file("/etc/tor/gnoppix-defaults.torrc").content_string.splitlines()
    assert [line for line in defaults if line and not line.startswith("#")] == []


@pytest.mark.static
def test_every_door_of_tor_is_on_the_loopback_interface(
    host: Any, options: Mapping[str, Any]
) -> None:
    """No port is open to the network, and no socket to every local user."""
    doors = [(key, value) for key, value in settings(host) if key.endswith(("Port", "Socket"))]
    inside = [key for key, value in doors if value.startswith("127.0.0.1:")]
    assert {"SocksPort"} <= {*inside} <= {"SocksPort", "TransPort", "DNSPort"}
    sockets = [value for _, value in doors if value.startswith("unix:")]
    by_group = f"unix:{SOCKS} IsolateDestAddr GroupWritable RelaxDirModeCheck"
    assert sockets == ([by_group] if options["socks-socket"] else [])
    rest = {key: value for key, value in doors if key not in inside and value not in sockets}
    onion_ports = rest.pop("HiddenServicePort", None)
    assert onion_ports is None or "WorldWritable" not in onion_ports
    assert rest["ControlPort"] == "0"
    assert rest["ControlSocket"] in {"0", f"{CONTROL} GroupWritable RelaxDirModeCheck"}
    assert rest.keys() == {"ControlPort", "ControlSocket"}


@pytest.mark.static
def test_tor_is_relaxed_for_bridges_only(host: Any, options: Mapping[str, Any]) -> None:
    """Tor filters its own system calls unless it is told not to, and starts no other program."""
    assert values(host, "Sandbox") == ["1" if options["sandbox"] else "0"]
    programs = {"obfs4": "/usr/bin/obfs4proxy", "snowflake": "/usr/bin/snowflake-client"}
    transport = options["bridges"]
    expected = [f"{transport} exec {programs[transport]}"] if transport != "none" else []
    assert values(host, "ClientTransportPlugin") == expected
    foreign = [program for name, program in programs.items() if name != transport]
    assert [program for program in foreign if host.file(program).exists] == []


@pytest.mark.static
def test_bridges_are_of_the_transport_that_is_there(host: Any, options: Mapping[str, Any]) -> None:
    """Tor is entered by the listed bridges only, each of the one transport that is installed."""
    is_bridged = options["bridges"] != "none"
    assert values(host, "UseBridges") == (["1"] if is_bridged else [])
    lines = options["bridge-lines"] if is_bridged else ()
    assert [line.split()[0] for line in lines] == [options["bridges"]] * len(lines)
    assert len(values(host, "Bridge")) == len(lines)


@pytest.mark.static
def test_consent_is_asked_for_at_each_start(host: Any, options: Mapping[str, Any]) -> None:
    """Tor starts off the network if a person has to agree first."""
    assert values(host, "DisableNetwork") == (["1"] if options["consent"] else [])
    assert host.file("/usr/bin/tor-consent").exists == options["consent"]


@pytest.mark.static
def test_image_has_no_key_of_an_onion_service(host: Any, profile: Any) -> None:
    """The keys of onion services are made on the machine itself: an image has none."""
    if profile.target != "image":
        pytest.skip("a machine has keys of its own")
    assert host.find_files("/var/lib/tor/**/hs_ed25519_secret_key") == []
    assert host.find_files("/var/lib/tor/keys/*") == []


@pytest.mark.static
def test_onion_services_are_the_listed_ones(host: Any, options: Mapping[str, Any]) -> None:
    """Each onion service has a folder of its own, and each of its clients a listed service."""
    names = service_names(options)
    assert values(host, "HiddenServiceDir") == [f"/var/lib/tor/onion-{name}" for name in names]
    assert len({*names}) == len(names), "a name is there twice"
    strangers = {each.split()[0] for each in options["onion-clients"]} - {*names}
    assert strangers == set()


@pytest.mark.running
def test_tor_is_running(host: Any) -> None:
    """Tor has started and stays."""
    assert host.service(UNIT).is_running


@pytest.mark.running
def test_tor_has_no_privilege(host: Any) -> None:
    """tor, and what it starts, are its own user behind a filter, with no way to more."""
    for pid in processes(host):
        fields = status(host, pid)
        assert fields["Uid"].split() == ["110"] * 4
        assert int(fields["CapEff"], 16) == int(fields["CapBnd"], 16) == 0
        assert fields["NoNewPrivs"] == "1"
        assert fields["Seccomp"] == SECCOMP_FILTER


@pytest.mark.running
def test_tor_is_confined_by_apparmor(host: Any) -> None:
    """The package's AppArmor profile is enforced on tor, and on what it starts."""
    labels = {host.check_output(f"cat /proc/{pid}/attr/current") for pid in processes(host)}
    assert labels == {"system_tor (enforce)"}


@pytest.mark.running
def test_bridges_have_their_program(host: Any, options: Mapping[str, Any]) -> None:
    """The transport of the bridges runs beside tor, if it is wanted and tor may use the network."""
    programs = {"none": [], "obfs4": ["obfs4proxy"], "snowflake": ["snowflake-clien"]}
    started = [] if options["consent"] else programs[options["bridges"]]
    assert sorted(status(host, pid)["Name"] for pid in processes(host)) == [*started, "tor"]


@pytest.mark.running
def test_tor_listens_only_where_it_says(host: Any, options: Mapping[str, Any]) -> None:
    """Tor has no port but those of its mode; none before a person has agreed, where one has to."""
    ports = [options["socks-port"], *options["isolated-ports"]]
    if options["mode"] == "transparent":
        ports += [options["dns-port"], options["trans-port"]]
    pid = main_process(host)
    # Where tor is: beneath a tunnel that goes over it, or with all others.
    looking = f"nsenter --net=/proc/{pid}/ns/net ss -H -l -n -t -u -p"
    lines = host.check_output(looking).splitlines()
    found = {line.split()[4] for line in lines if f"pid={pid}," in line}
    assert found == ({f"127.0.0.1:{port}" for port in ports} if not options["consent"] else set())


@pytest.mark.running
def test_control_socket_answers_only_its_group(host: Any, options: Mapping[str, Any]) -> None:
    """Members of `tor-control` may steer tor, nobody else; without the option there is no way."""
    assert host.file(CONTROL).exists == host.file(COOKIE).exists == options["control"]
    refused = host.run(f"setpriv {STRANGER} python3 -I -c %s", ASK)
    answered = host.run(f"setpriv {MEMBER} python3 -I -c %s", ASK)
    assert refused.rc != 0
    assert (answered.rc == 0) == options["control"], answered.stderr
    assert ("250-version=" in answered.stdout) == options["control"]


@pytest.mark.running
def test_socks_socket_is_for_its_group(host: Any, options: Mapping[str, Any]) -> None:
    """Who has no network reaches Tor by a socket, if in its group; nobody else does."""
    socks = host.file(SOCKS)
    assert socks.exists == options["socks-socket"]
    if options["socks-socket"]:
        assert (socks.user, socks.group, socks.mode) == ("debian-tor", "tor-socks", 0o660)


@pytest.mark.running
def test_onion_services_have_addresses(host: Any, options: Mapping[str, Any]) -> None:
    """Each onion service has made its key, which only tor can read, and knows its address."""
    for name in service_names(options):
        folder = host.file(f"/var/lib/tor/onion-{name}")
        assert (folder.user, folder.mode) == ("debian-tor", 0o700)
        address = host.file(f"{folder.path}/hostname").content_string
        assert re.fullmatch(r"[a-z2-7]{56}\.onion\n", address)


@pytest.mark.running
def test_onion_services_know_their_clients(host: Any, options: Mapping[str, Any]) -> None:
    """Each onion service has the public keys of its listed clients, and of nobody else."""
    expected = {
        f"/var/lib/tor/onion-{name}/authorized_clients/{client}.auth": f"descriptor:x25519:{key}"
        for name, client, key in (each.split() for each in options["onion-clients"])
    }
    pattern = "find /var/lib/tor -path '*/authorized_clients/*' -type f"
    found = host.check_output(pattern).split()
    assert {path: host.file(path).content_string.strip() for path in found} == expected


@pytest.mark.running
@pytest.mark.destructive
def test_consent_opens_the_network(host: Any, options: Mapping[str, Any]) -> None:
    """A member of `tor-control` puts tor on the network, a stranger does not."""
    if not options["consent"]:
        pytest.skip("tor needs nobody's consent here")
    assert host.run(f"setpriv {STRANGER} tor-consent yes").rc != 0
    assert host.check_output("tor-consent show") == "tor stays off the network"
    assert host.run(f"setpriv {MEMBER} tor-consent yes").rc == 0
    assert host.check_output("tor-consent show") == "tor uses the network"
