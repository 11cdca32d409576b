# SPDX-License-Identifier: GPL-3.0-or-later
"""What `wireguard` promises of a system."""

import json
import socket
from collections.abc import Mapping
from ipaddress import ip_address
from typing import Any

import pytest

from gnoppix_build.checks.credentials import credentials_found, skip_without_credential

UNIT = "gnoppix-wireguard.service"
MARK = "0x676e"
BENEATH = "ip netns exec carrier"
LIVE_USER = "setpriv --reuid=1000 --regid=1000 --clear-groups"
PROBE = b"gnoppix-probe"
FAR = "203.0.113.9"
# A message of type 1, and its size. Source: wireguard.com/protocol, "First Message".
HANDSHAKE = b"\1\0\0\0"
HANDSHAKE_BYTES = 148
# Sends what is no handshake to the peer's port, from the cards' namespace, with the mark of the
# tunnel and without it.
IMITATE = """
import contextlib, socket, sys
address, port, mark = sys.argv[1], int(sys.argv[2]), int(sys.argv[3], 16)
family = socket.AF_INET6 if ":" in address else socket.AF_INET
for value in (0, mark):
    with contextlib.suppress(OSError), socket.socket(family, socket.SOCK_DGRAM) as s:
        s.setsockopt(socket.SOL_SOCKET, socket.SO_MARK, value)
        s.sendto(b"gnoppix-probe", (address, port))
"""
SEND = "import socket; socket.socket(socket.AF_INET, socket.SOCK_DGRAM).sendto(b'x', ('{}', 9))"
# A peer at the profile's address, at the other end of a cable into the cards' namespace. It knows
# the tunnel's key, and the tunnel is told the peer's.
PEER = """
set -eu
endpoint=$1 port=$2 address=$3 far=$4 declared=$5
ip netns add far
ip -n far link add far0 type veth peer name near0 netns carrier
ip -n far address add "$endpoint/32" dev far0
ip -n far link set far0 up
ip -n far route add default dev far0
ip -n carrier address add 192.0.2.254/32 dev near0
ip -n carrier link set near0 up
ip -n carrier route add "$endpoint/32" dev near0 src 192.0.2.254
ip -n far link add wg9 type wireguard
umask 077
wg genkey >/run/far.key
key=$(wg pubkey </run/far.key)
ip netns exec far wg set wg9 listen-port "$port" private-key /run/far.key \
    peer "$(wg show wg0 public-key)" allowed-ips "$address/32"
ip -n far address add "$far/32" dev wg9
ip -n far link set wg9 up
ip -n far route add "$address/32" dev wg9
wg set wg0 peer "$declared" remove
wg set wg0 peer "$key" endpoint "$endpoint:$port" allowed-ips 0.0.0.0/0
"""
ANSWER = """
import socket
with socket.create_server(("{}", 4242)) as server:
    connection, peer = server.accept()
    connection.sendall(peer[0].encode())
    connection.close()
"""
# Asks again until it is answered, for the other side may still be starting.
ASK = """
import socket, time
for _ in range(60):
    try:
        with socket.create_connection(("{}", 4242), timeout=20) as connection:
            print(connection.recv(100).decode())
            break
    except ConnectionRefusedError:
        time.sleep(0.5)
"""


@pytest.mark.static
@pytest.mark.running
def test_tunnel_is_enabled(host: Any) -> None:
    """The tunnel comes up at start."""
    assert host.service(UNIT).is_enabled


@pytest.mark.static
def test_key_is_not_in_the_image(host: Any, profile: Any) -> None:
    """No private key lies where the tunnel would take it from."""
    if profile.target != "image":
        pytest.skip("a machine has keys of its own")
    names = ("wireguard.private-key", "wireguard.preshared-key")
    assert credentials_found(host, names) == []


@pytest.mark.static
def test_tunnel_is_made_beneath(host: Any) -> None:
    """The interface comes out of the cards' namespace, where its packets go on."""
    drop_in = "/etc/systemd/system/gnoppix-wireguard-link.service.d/60-gnoppix-sandbox.conf"
    lines = host.file(drop_in).content_string.splitlines()
    assert "NetworkNamespacePath=/run/netns/carrier" in lines


@pytest.mark.running
def test_nothing_leads_past_the_tunnel(host: Any) -> None:
    """There is no route but by the tunnel, with a key or without."""
    routes = json.loads(host.check_output("ip -json route show"))
    assert {route["dev"] for route in routes} <= {"wg0"}


@pytest.mark.running
def test_tunnel_has_its_peer(host: Any, options: Mapping[str, object]) -> None:
    """The tunnel has one peer, the declared one, and its packets carry the policy's mark."""
    skip_without_credential(host, UNIT, "private key")
    assert host.check_output("wg show wg0 fwmark") == MARK
    endpoint = host.check_output("wg show wg0 endpoints").split()
    assert endpoint[0] == options["public-key"]
    assert endpoint[1].strip("[]").rpartition(":")[2] == str(options["port"])
    assert str(options["endpoint"]) in endpoint[1]


def udp_payloads(frames: list[bytes], address: str, port: int) -> list[bytes]:
    """Give what went to an address and port by UDP."""
    found = []
    for frame in frames:
        start = 34 if frame[12:14] == b"\x08\x00" else 54
        protocol, target = (frame[23], frame[30:34]) if start == 34 else (frame[20], frame[38:54])
        is_there = target == ip_address(address).packed and frame[start + 2 : start + 4] == bytes(
            divmod(port, 256)
        )
        if protocol == socket.IPPROTO_UDP and is_there:
            found.append(frame[start + 8 :])
    return found


def await_route(host: Any) -> None:
    """Wait until the cards' namespace has a way to the network."""
    until = f"{BENEATH} ip route show default | grep -q default"
    host.run(f"timeout 30 sh -c 'until {until}; do sleep 0.5; done'")


def sent_while_used(host: Any, wire: Any) -> list[bytes]:
    """Let a user send through the tunnel; give the machine's frames until a handshake is begun."""

    def use() -> None:
        host.check_output(f"{LIVE_USER} python3 -c %s", SEND.format(FAR))
        host.run("sleep 7")

    frames: list[bytes] = wire.sent_during(use)
    return frames


@pytest.mark.running
def test_tunnel_knocks_at_its_peer_and_nowhere_else(
    host: Any, wire: Any, options: Mapping[str, Any]
) -> None:
    """What a user sends makes the kernel ask the peer for a handshake; the packet itself waits."""
    skip_without_credential(host, UNIT, "private key")
    await_route(host)
    frames = sent_while_used(host, wire)
    asked = udp_payloads(frames, str(options["endpoint"]), options["port"])
    assert {(each[:4], len(each)) for each in asked} == {(HANDSHAKE, HANDSHAKE_BYTES)}
    assert udp_payloads(frames, FAR, 9) == []


@pytest.mark.running
def test_mark_of_the_tunnel_is_of_no_use_to_others(
    host: Any, wire: Any, options: Mapping[str, Any]
) -> None:
    """Not even root sends to the peer's port, with the mark of the tunnel or without."""
    await_route(host)
    assert imitations(host, wire, options) == []


@pytest.mark.running
@pytest.mark.destructive
def test_imitations_are_on_the_wire_without_rules(
    host: Any, wire: Any, options: Mapping[str, Any]
) -> None:
    """Without the rules beneath both are sent: the check above is able to fail."""
    await_route(host)
    host.check_output(f"{BENEATH} nft flush ruleset")
    assert imitations(host, wire, options) == [PROBE, PROBE]


def imitations(host: Any, wire: Any, options: Mapping[str, Any]) -> list[bytes]:
    """Send as the tunnel would, and give what got out of it."""
    place = f"{options['endpoint']} {options['port']} {MARK}"
    frames = wire.sent_during(
        lambda: host.check_output(f"{BENEATH} python3 -c %s {place}", IMITATE)
    )
    sent = udp_payloads(frames, str(options["endpoint"]), options["port"])
    return [each for each in sent if each.startswith(PROBE)]


@pytest.mark.running
@pytest.mark.destructive
def test_tunnel_carries_what_a_peer_answers(
    host: Any, wire: Any, options: Mapping[str, Any]
) -> None:
    """With a peer that has the keys a user reaches what is behind it, by the tunnel's address."""
    skip_without_credential(host, UNIT, "private key")
    if options["traffic"] != "all":
        pytest.skip("not every user may send through the tunnel")
    if ip_address(str(options["endpoint"])).version != 4:
        pytest.skip("the peer of this trial has an IPv4 address")
    address = options["addresses"][0]
    places = f"{options['endpoint']} {options['port']} {address} {FAR} {options['public-key']}"
    host.check_output(f"sh -c %s sh {places}", PEER)
    host.check_output(
        "systemd-run --property=NetworkNamespacePath=/run/netns/far python3 -c %s",
        ANSWER.format(FAR),
    )
    answers = []
    frames = wire.sent_during(
        lambda: answers.append(host.check_output(f"{LIVE_USER} python3 -c %s", ASK.format(FAR)))
    )
    assert answers == [address]
    assert host.check_output("wg show wg0 latest-handshakes").split()[1] != "0"
    assert [frame for frame in frames if ip_address(FAR).packed in frame] == []
