# SPDX-License-Identifier: GPL-3.0-or-later
"""A program: a web page, and the names that lead to it. Arguments: ADDRESS PORT TEXT [NAME LOG].

Every request is written to LOG: `http` or `dns`, the client's address, what it asked for. With
NAME it is a name server too: NAME has the address, nothing else exists.
"""

import http.server
import socket
import socketserver
import struct
import sys
import threading
from pathlib import Path

NAME_ERROR = 3
TYPE_A = 1


class Page(http.server.BaseHTTPRequestHandler):
    """Answers every request with the same text."""

    text = b""
    log = Path("/dev/null")

    def do_GET(self) -> None:
        write_line(self.log, f"http {self.client_address[0]} {self.path}")
        self.send_response(200)
        self.send_header("Content-Length", str(len(self.text)))
        self.end_headers()
        self.wfile.write(self.text)

    def do_HEAD(self) -> None:
        """Tell the date, as often as one connection asks for it."""
        write_line(self.log, f"head {self.client_address[0]} {self.path}")
        self.send_response(200)
        self.end_headers()
        self.close_connection = False

    def log_message(self, *_: object) -> None:
        """Say nothing on the standard error."""


class Pages(socketserver.ThreadingMixIn, http.server.HTTPServer):
    daemon_threads = True
    allow_reuse_address = True

    def server_bind(self) -> None:
        """Bind, without asking for a host name as the standard library would."""
        socketserver.TCPServer.server_bind(self)
        self.server_name, self.server_port = "page", 80


def write_line(log: Path, line: str) -> None:
    with log.open("a") as file:
        file.write(f"{line}\n")


def serve_names(address: str, name: str, log: Path) -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as server:
        server.bind((address, 53))
        while True:
            query, client = server.recvfrom(4096)
            labels, rest = read_name(query[12:])
            asked = ".".join(labels).lower()
            kind = struct.unpack_from("!H", rest)[0]
            write_line(log, f"dns {client[0]} {asked}")
            question = query[12 : len(query) - len(rest) + 4]
            server.sendto(answer(query[:2], question, address, kind, asked == name), client)


def read_name(data: bytes) -> tuple[list[str], bytes]:
    labels = []
    while data[0]:
        labels.append(data[1 : 1 + data[0]].decode(errors="replace"))
        data = data[1 + data[0] :]
    return labels, data[1:]


def answer(number: bytes, question: bytes, address: str, kind: int, is_known: bool) -> bytes:
    found = b""
    if is_known and kind == TYPE_A:
        found = struct.pack("!HHHIH", 0xC00C, TYPE_A, 1, 60, 4) + socket.inet_aton(address)
    flags = 0x8580 | (0 if is_known else NAME_ERROR)
    return number + struct.pack("!HHHHH", flags, 1, bool(found), 0, 0) + question + found


def main() -> None:
    address, port, text, *rest = sys.argv[1:]
    Page.text = text.encode()
    if rest:
        Page.log = Path(rest[1])
        names = threading.Thread(target=serve_names, args=(address, rest[0], Page.log))
        names.start()
    Pages((address, int(port)), Page).serve_forever()


if __name__ == "__main__":
    main()
