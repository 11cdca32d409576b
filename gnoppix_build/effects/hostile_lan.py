# SPDX-License-Identifier: GPL-3.0-or-later
"""A hostile network at the other end of a guest's cable: it sees every frame and answers with lies.

Nothing of it is a network of this machine: it lives in a thread and a pair of sockets.
"""

import socket
import struct
import threading
import time
from collections.abc import Iterator, Sequence
from ipaddress import IPv4Address, IPv4Network, IPv6Address
from types import TracebackType
from typing import Final, Self

from gnoppix_build.effects import frames
from gnoppix_build.effects.frames import DhcpMessage, Station
from gnoppix_build.effects.qemu_command import HARDWARE_ADDRESS

LENGTH: Final = struct.Struct("!I")
NETWORK: Final = IPv4Network("10.0.2.0/24")
GUEST: Final = IPv4Address("10.0.2.15")
GATEWAY: Final = Station(
    bytes.fromhex("525400660002"), IPv4Address("10.0.2.2"), IPv6Address("fe80::66:2")
)
# Where every lie leads: routes, names, redirects.
ATTACKER: Final = Station(
    bytes.fromhex("525400660066"), IPv4Address("10.0.2.66"), IPv6Address("fe80::66:66")
)
SCANNER: Final = Station(
    bytes.fromhex("525400660077"), IPv4Address("10.0.2.77"), IPv6Address("fe80::66:77")
)
STATIONS: Final = (GATEWAY, ATTACKER, SCANNER)
EVIL_DOMAIN: Final = "evil.test"
EVIL_NAME: Final = "told-by-dhcp"
EVIL_PREFIX: Final = IPv6Address("2001:db8:bad::")
EVIL_RESOLVER: Final = IPv6Address("2001:db8:bad::53")
LEASE_S: Final = 60
ADVERTISEMENT_INTERVAL_S: Final = 8.0
# A network that is given out to nobody (RFC 5737); a lie sends its traffic to the attacker.
FAR_NETWORK: Final = IPv4Network("192.0.2.0/24")
FAR_HOST: Final = IPv4Address("192.0.2.1")
LOCAL_QUERIES: Final = (
    (IPv4Address("224.0.0.252"), bytes.fromhex("01005e0000fc"), 5355),
    (IPv4Address("224.0.0.251"), bytes.fromhex("01005e0000fb"), 5353),
)
ALL_PORTS: Final = range(1, 65536)
SCANNER_PORT: Final = 40077
UNKNOWN_PROTOCOLS: Final = (47, 50, 132, 136)


class HostileLan:
    """The network of one guest; as a context it answers until the block ends.

    `guest_end` is for QEMU: a stream of frames, each after its length in four bytes.
    """

    def __init__(self) -> None:
        self._ours, self.guest_end = socket.socketpair()
        self._sent: list[bytes] = []
        self._writing = threading.Lock()
        self._ended = threading.Event()
        self._guest_hardware = frames.BROADCAST
        self._threads = (
            threading.Thread(target=self._answer, daemon=True),
            threading.Thread(target=self._advertise, daemon=True),
        )

    def __enter__(self) -> Self:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._ended.set()
        self._ours.shutdown(socket.SHUT_RDWR)
        for thread in self._threads:
            thread.join()
        self._ours.close()
        self.guest_end.close()

    def sent(self) -> list[bytes]:
        """Give every frame that the guest has sent so far, in order."""
        is_listening = self._threads[0].is_alive() or self._ended.is_set()
        assert is_listening, "nobody listens: silence would prove nothing"
        return list(self._sent)

    def dhcp_messages(self) -> list[DhcpMessage]:
        """Give what the guest has told the DHCP server so far."""
        return [found for frame in self.sent() if (found := _dhcp_of(frame)) is not None]

    def lies(self) -> frozenset[str]:
        """Give the addresses and names that nobody but this network could have told."""
        # As any address in that network begins.
        prefix = str(EVIL_PREFIX).removesuffix(":")
        told = (ATTACKER.ipv4, prefix, EVIL_DOMAIN, EVIL_NAME, FAR_NETWORK)
        return frozenset(str(each) for each in told)

    def hardware_address(self) -> bytes:
        """Give the address that the guest's card was made with."""
        return bytes.fromhex(HARDWARE_ADDRESS.replace(":", ""))

    def lie(self) -> None:
        """Take the gateway's place, send redirects, ask for names: all at once, three times."""
        for _ in range(3):
            for frame in self._lies():
                self._send(frame)
            time.sleep(0.5)

    def scan(self, ports: Sequence[int] = ALL_PORTS) -> list[bytes]:
        """Knock at the guest's ports and protocols, and give the IP packets that it answers."""
        already = len(self._sent)
        for number, frame in enumerate(self._knocks(ports)):
            self._send(frame)
            if number % 256 == 0:
                # A guest that is flooded drops, and what is dropped is not scanned.
                time.sleep(0.02)
        time.sleep(3)
        return [frame for frame in self.sent()[already:] if frames.is_ip_to(frame, (SCANNER,))]

    def _answer(self) -> None:
        with self._ours.makefile("rb") as stream:
            while len(head := stream.read(LENGTH.size)) == LENGTH.size:
                frame = stream.read(LENGTH.unpack(head)[0])
                self._sent.append(frame)
                self._guest_hardware = frame[6:12]
                for answer in answers_to(frame):
                    self._send(answer)

    def _advertise(self) -> None:
        while not self._ended.wait(ADVERTISEMENT_INTERVAL_S):
            self._send(_advertisement())

    def _send(self, frame: bytes) -> None:
        with self._writing:
            try:
                self._ours.sendall(LENGTH.pack(len(frame)) + frame)
            except OSError:
                # The guest is gone; whoever waits for its answer will see that.
                self._ended.set()

    def _lies(self) -> Iterator[bytes]:
        to = self._guest_hardware
        usurper = Station(ATTACKER.hardware, GATEWAY.ipv4, ATTACKER.ipv6)
        yield frames.arp(frames.ARP_REPLY, usurper, to, GUEST)
        yield frames.arp(frames.ARP_REQUEST, usurper, frames.BROADCAST, GATEWAY.ipv4)
        yield frames.icmp_redirect(GATEWAY, to, GUEST, ATTACKER.ipv4, FAR_HOST)
        yield _advertisement()
        for group, hardware, port in LOCAL_QUERIES:
            for name in ("localhost.local", "debian.local", "_services._dns-sd._udp.local"):
                query = frames.dns_query(name, 12 if name.startswith("_") else 1)
                yield frames.udp(SCANNER, hardware, group, (port, port), query)

    def _knocks(self, ports: Sequence[int]) -> Iterator[bytes]:
        to = self._guest_hardware
        yield frames.icmp_echo(SCANNER, to, GUEST)
        yield frames.icmpv6_echo(SCANNER, b"\x33\x33\0\0\0\x01", frames.ALL_NODES)
        for protocol in UNKNOWN_PROTOCOLS:
            yield frames.ipv4(SCANNER, to, GUEST, protocol, bytes(32))
        for port in ports:
            yield frames.tcp_syn(SCANNER, to, GUEST, (SCANNER_PORT, port))
            yield frames.udp(SCANNER, to, GUEST, (SCANNER_PORT, port), b"knock")


def answers_to(frame: bytes) -> Iterator[bytes]:
    """Answer a frame as a network would that wants all traffic to go by its attacker."""
    if (asked := frames.read_arp(frame)) is not None:
        yield from _arp_answers(asked)
    elif frames.is_router_solicitation(frame):
        yield _advertisement()
    elif (message := _dhcp_of(frame)) is not None:
        yield from _dhcp_answers(message)
    elif (datagram := frames.read_datagram(frame)) and datagram.destination_port == 53:  # noqa: PLR2004
        ports = (53, datagram.source_port)
        lie = frames.dns_answer(datagram.payload, ATTACKER.ipv4)
        yield frames.spoofed_udp(
            *(ATTACKER, datagram.destination, datagram.hardware, datagram.source, ports, lie)
        )


def _arp_answers(asked: frames.Arp) -> Iterator[bytes]:
    is_question = asked.operation == frames.ARP_REQUEST and asked.sender != IPv4Address(0)
    for station in STATIONS:
        if is_question and asked.target == station.ipv4:
            yield frames.arp(frames.ARP_REPLY, station, asked.sender_hardware, asked.sender)


def _dhcp_answers(message: DhcpMessage) -> Iterator[bytes]:
    kinds = {
        frames.DHCP_DISCOVER: frames.DHCP_OFFER,
        frames.DHCP_REQUEST: frames.DHCP_ACK,
    }
    if message.kind in kinds:
        payload = frames.dhcp_answer(kinds[message.kind], message, GATEWAY, GUEST, _dhcp_lies())
        broadcast = IPv4Address("255.255.255.255")
        yield frames.udp(GATEWAY, message.hardware, broadcast, (67, 68), payload)


def _dhcp_lies() -> dict[int, bytes]:
    """Give what an honest server sends, and every option that would lead traffic astray.

    Source: RFC 2132, 3442, 3397; CVE-2024-3661.
    """
    attacker, gateway = ATTACKER.ipv4.packed, GATEWAY.ipv4.packed
    halves = (IPv4Network("0.0.0.0/1"), IPv4Network("128.0.0.0/1"), FAR_NETWORK)
    routes = b"".join(_classless_route(network, attacker) for network in halves)
    routes += b"\0" + gateway
    return {
        1: NETWORK.netmask.packed,
        3: gateway,
        6: attacker,
        12: EVIL_NAME.encode(),
        15: EVIL_DOMAIN.encode(),
        33: FAR_HOST.packed + attacker,
        42: attacker,
        51: LENGTH.pack(LEASE_S),
        119: frames.dns_name(EVIL_DOMAIN),
        121: routes,
        249: routes,
        252: f"http://{ATTACKER.ipv4}/wpad.dat".encode(),
    }


def _classless_route(network: IPv4Network, router: bytes) -> bytes:
    significant = (network.prefixlen + 7) // 8
    return bytes((network.prefixlen,)) + network.network_address.packed[:significant] + router


def _advertisement() -> bytes:
    return frames.router_advertisement(ATTACKER, EVIL_PREFIX, EVIL_RESOLVER, EVIL_DOMAIN)


def _dhcp_of(frame: bytes) -> DhcpMessage | None:
    datagram = frames.read_datagram(frame)
    if datagram is None or datagram.destination_port != 67:  # noqa: PLR2004 - DHCP's server
        return None
    return frames.read_dhcp(datagram.payload)
