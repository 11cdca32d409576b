# SPDX-License-Identifier: GPL-3.0-or-later
"""What `dns` promises of a system."""

import struct
import tomllib
from collections.abc import Iterator, Mapping
from typing import Any

import pytest

from gnoppix_build.checks.cards import open_cards

MARK = b"gnoppix-name-probe"
LOOPBACK = "127.0.0.1"
FOREIGN = "192.0.2.1"
DNSCRYPT_MODES = ("doh", "dnscrypt")
RESOLVER_USERS = {
    "dot": ("systemd-resolve", 117),
    "doh": ("_dnscrypt-proxy", 112),
    "dnscrypt": ("_dnscrypt-proxy", 112),
}
LISTENING = "ss -H -l -n -t -u -e sport = 53"
# Sent by the target: one question for an address, by UDP and by TCP, to the server in argv[1];
# prints how many answers there were. 192.0.2.1 is of a block given out to nobody (RFC 5737).
ASK = """
import socket, struct, sys
names = [b"gnoppix-name-probe", b"example", b"net"]
labels = b"".join(bytes([len(name)]) + name for name in names)
question = bytes.fromhex("abcd01000001000000000000") + labels + bytes.fromhex("0000010001")
answers = 0
for kind in (socket.SOCK_DGRAM, socket.SOCK_STREAM):
    with socket.socket(socket.AF_INET, kind) as s:
        s.settimeout(4)
        try:
            s.connect((sys.argv[1], 53))
            is_stream = kind == socket.SOCK_STREAM
            s.sendall((struct.pack("!H", len(question)) if is_stream else b"") + question)
            said = s.recv(4096)[2 if is_stream else 0:]
            answers += len(said) > 7 and said[6:8] != bytes(2)
        except OSError:
            pass
print(answers)
"""


def ask(host: Any, server: str) -> str:
    """Ask a server for the address of the marked name; the number of answers."""
    said: str = host.check_output("python3 -c %s %s", ASK, server)
    return said


def ports_of(frames: list[bytes]) -> Iterator[tuple[str, int]]:
    """Give destination address and port of each IPv4 frame of TCP or UDP."""
    for frame in frames:
        if frame[12:14] == b"\x08\x00" and frame[23] in (6, 17):
            start = 14 + (frame[14] & 0x0F) * 4
            (port,) = struct.unpack("!H", frame[start + 2 : start + 4])
            yield ".".join(map(str, frame[30:34])), port


def dnscrypt_settings(host: Any) -> dict[str, Any]:
    """Read the settings that dnscrypt-proxy is started with."""
    return tomllib.loads(host.file("/etc/dnscrypt-proxy/gnoppix.toml").content_string)


@pytest.mark.static
@pytest.mark.running
def test_this_machine_is_the_only_name_server(host: Any) -> None:
    """Programs ask this machine and none besides, and nothing rewrites that."""
    file = host.file("/etc/resolv.conf")
    assert not file.is_symlink, "a resolver's own file takes the place of ours"
    lines = file.content_string.splitlines()
    found = [line for line in lines if line.startswith(("nameserver", "search", "domain"))]
    assert found == [f"nameserver {LOOPBACK}"]


@pytest.mark.static
@pytest.mark.running
def test_resolver_has_its_number(host: Any, options: Mapping[str, Any]) -> None:
    """The user of the resolver has the number that the component declares."""
    if options["mode"] not in RESOLVER_USERS:
        pytest.skip("this mode has no resolver of its own")
    name, uid = RESOLVER_USERS[options["mode"]]
    assert host.user(name).uid == uid


@pytest.mark.static
def test_resolver_has_only_the_servers_of_the_profile(
    host: Any, options: Mapping[str, Any]
) -> None:
    """The resolver knows no server but the profile's, has no fallback, and keeps no log."""
    match options["mode"]:
        case "dot":
            file = host.file("/etc/systemd/resolved.conf.d/60-gnoppix-dns.conf")
            settings = file.content_string.splitlines()
            servers = [line for line in settings if line.startswith("DNS=") and line != "DNS="]
            assert len(servers) == len(options["servers"])
            assert all(line.endswith(f"#{options['tls-name']}") for line in servers), servers
            assert {"DNS=", "DNSOverTLS=yes", "FallbackDNS="} <= {*settings}
        case "doh" | "dnscrypt":
            known = dnscrypt_settings(host)
            assert len(known["static"]) == len(options["servers"])
            assert {"query_log", "nx_log", "sources"} & known.keys() == set()
            assert known["bootstrap_resolvers"] == [f"{LOOPBACK}:53"]
            assert known["netprobe_timeout"] == 0
        case _:
            pytest.skip("this mode has no resolver of its own")


@pytest.mark.static
def test_packages_own_sockets_are_masked(host: Any, options: Mapping[str, Any]) -> None:
    """Sockets that would belong to root stay closed."""
    if options["mode"] not in DNSCRYPT_MODES:
        pytest.skip("this mode has no such package")
    assert host.service("dnscrypt-proxy.socket").is_masked
    assert host.service("dnscrypt-proxy-resolvconf").is_masked


@pytest.mark.running
def test_port_53_has_one_owner(host: Any, options: Mapping[str, Any]) -> None:
    """Nothing but the resolver of the mode takes questions, and it does on this machine only."""
    _, uid = RESOLVER_USERS.get(options["mode"], ("", None))
    sockets = [line.split() for line in host.check_output(LISTENING).splitlines()]
    found = {(fields[0], fields[4], f"uid:{uid}" in fields) for fields in sockets}
    place = f"{LOOPBACK}:53"
    expected = {("udp", place, True), ("tcp", place, True)}
    assert found == (expected if options["mode"] in RESOLVER_USERS else set())


@pytest.mark.running
def test_no_question_leaves_in_the_clear(
    host: Any, options: Mapping[str, Any], wire: Any, policy: Any
) -> None:
    """A name that is asked for is on no frame, and no frame goes to a port for plain DNS.

    The servers cannot be reached from a test's network, so there is no answer either.
    """
    answers = []
    frames = wire.frames_during(lambda: answers.append(ask(host, LOOPBACK)))
    assert answers == ["0"], "an answer came from somewhere"
    assert not any(MARK in frame for frame in frames)
    sent_to = set(ports_of(frames))
    assert {port for _, port in sent_to} & {53, 5353, 5355} == set()
    if options["mode"] in RESOLVER_USERS:
        port = options[f"{options['mode']}-port"]
        servers = {(server, port) for server in options["servers"]}
        # From beneath a tunnel its own packets leave, and the resolver's are within.
        assert sent_to <= servers if policy.card_namespace == "system" else not sent_to & servers


@pytest.mark.running
def test_a_foreign_server_cannot_be_asked(host: Any, wire: Any) -> None:
    """A program that knows a name server of its own does not get through to it."""
    frames = wire.frames_during(lambda: ask(host, FOREIGN))
    assert not any(MARK in frame for frame in frames)
    assert (FOREIGN, 53) not in set(ports_of(frames))


@pytest.mark.running
@pytest.mark.destructive
def test_a_question_is_on_the_wire_without_rules(host: Any, wire: Any, policy: Any) -> None:
    """Without the firewall the foreign server is asked: the check above is able to fail."""
    if policy.tunnels:
        pytest.skip("the cards are beneath a tunnel")
    open_cards(host, policy)
    host.check_output("nft flush ruleset")
    frames = wire.frames_during(lambda: ask(host, FOREIGN))
    assert any(MARK in frame for frame in frames)
    assert (FOREIGN, 53) in set(ports_of(frames))
