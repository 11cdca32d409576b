# SPDX-License-Identifier: GPL-3.0-or-later
"""What snowflake looks for on the Internet: a name server, a STUN server, and a broker."""

import http.server
import json
import socket
import struct
import threading
from collections.abc import Callable

from net_namespace import Namespace

DNS_PORT, STUN_PORT, BROKER_PORT = 53, 3478, 80
TYPE_A = 1
# Source: RFC 8489, sections 5 and 14.2.
MAGIC = 0x2112A442
BINDING_SUCCESS, XOR_MAPPED_ADDRESS = 0x0101, 0x0020


class FarEnd:
    """Answers at one address for every name; keeps what it was asked and offered."""

    def __init__(self, place: Namespace, address: str) -> None:
        self.address = address
        self.names: set[str] = set()
        self.offers: list[str] = []
        self._place = place
        self._answer_datagrams(DNS_PORT, self._answer_name)
        self._answer_datagrams(STUN_PORT, _answer_binding)
        self._start_broker()

    def _answer_datagrams(
        self, port: int, answer: Callable[[bytes, tuple[str, int]], bytes]
    ) -> None:
        server = self._place.call(lambda: socket.socket(socket.AF_INET, socket.SOCK_DGRAM))
        server.bind((self.address, port))

        def serve() -> None:
            while True:
                question, sender = server.recvfrom(4096)
                server.sendto(answer(question, sender), sender)

        threading.Thread(target=serve, daemon=True).start()

    def _answer_name(self, query: bytes, _: tuple[str, int]) -> bytes:
        end = query.index(0, 12) + 5
        kind = struct.unpack_from("!H", query, end - 4)[0]
        self.names.add(_read_name(query[12 : end - 4]))
        found = b""
        if kind == TYPE_A:
            found = struct.pack("!HHHIH", 0xC00C, TYPE_A, 1, 60, 4) + socket.inet_aton(self.address)
        counts = struct.pack("!HHHHH", 0x8580, 1, bool(found), 0, 0)
        return query[:2] + counts + query[12:end] + found

    def _start_broker(self) -> None:
        offers = self.offers

        class Broker(http.server.BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                # A line with the version of the protocol, then the message.
                message = json.loads(body.partition(b"\n")[2])
                offers.append(json.loads(message["offer"])["sdp"])
                self.send_response(503)
                self.end_headers()

            def log_message(self, *_: object) -> None:
                """Say nothing on the standard error."""

        where = (self.address, BROKER_PORT)
        server = self._place.call(lambda: http.server.ThreadingHTTPServer(where, Broker))
        threading.Thread(target=server.serve_forever, daemon=True).start()


def _read_name(data: bytes) -> str:
    labels = []
    while data[0]:
        labels.append(data[1 : 1 + data[0]].decode())
        data = data[1 + data[0] :]
    return ".".join(labels)


def _answer_binding(question: bytes, sender: tuple[str, int]) -> bytes:
    address = int.from_bytes(socket.inet_aton(sender[0]), "big") ^ MAGIC
    port = sender[1] ^ MAGIC >> 16
    mapped = struct.pack("!HHBBHI", XOR_MAPPED_ADDRESS, 8, 0, 1, port, address)
    return struct.pack("!HH", BINDING_SUCCESS, len(mapped)) + question[4:20] + mapped
