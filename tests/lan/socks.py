# SPDX-License-Identifier: GPL-3.0-or-later
"""A web page through a SOCKS port, or directly: the body, in text."""

import http.client
import socket
import struct

from net_namespace import Namespace

TIMEOUT_S = 60.0


class RefusedFault(Exception):
    """The proxy did not get through."""


def fetch_page(client: Namespace, host: str, *, socks_port: int, user: str = "") -> str:
    """Fetch `/` of a host by its name, port 80, through 127.0.0.1:socks_port (RFC 1928, 1929).

    Streams of different users share no circuit.
    """
    with client.call(lambda: socket.create_connection(("127.0.0.1", socks_port), TIMEOUT_S)) as to:
        method = 2 if user else 0
        to.sendall(bytes((5, 1, method)))
        _expect(to, bytes((5, method)))
        if user:
            word = bytes((len(user),)) + user.encode()
            to.sendall(b"\x01" + word + word)
            _expect(to, b"\x01\x00")
        to.sendall(
            b"\x05\x01\x00\x03" + bytes((len(host),)) + host.encode() + struct.pack("!H", 80)
        )
        _expect(to, b"\x05\x00\x00\x01")
        to.recv(6)
        return _read_page(to, host)


def fetch_page_directly(client: Namespace, address: str, host: str) -> str:
    """Fetch `/` of an address without a proxy."""
    with client.call(lambda: socket.create_connection((address, 80), TIMEOUT_S)) as to:
        return _read_page(to, host)


def _read_page(to: socket.socket, host: str) -> str:
    to.sendall(f"GET / HTTP/1.0\r\nHost: {host}\r\n\r\n".encode())
    answer = http.client.HTTPResponse(to)
    answer.begin()
    return answer.read().decode()


def _expect(to: socket.socket, wanted: bytes) -> None:
    got = to.recv(len(wanted))
    if got != wanted:
        raise RefusedFault(f"{got.hex()} instead of {wanted.hex()}")
