# SPDX-License-Identifier: GPL-3.0-or-later
"""A SOCKS server at a Unix socket, and a provider of language models behind TLS, both hostile.

Source: RFC 1928, RFC 1929; the provider's answers are what RFC 9112 allows, and what it does not.
"""

import json
import socket
import ssl
import subprocess
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

NAME = "api.provider.test"
PIECES = (b'data: {"choices":[{"delta":{"content":"one"}}]}\n\n', b"data: [DONE]\n\n")
WAIT_S = 30.0
ENDLESS = 64 * 1024
ANSWER_HEAD = "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n"


def make_certificate(folder: Path, name: str = NAME) -> tuple[Path, Path]:
    """Make a certificate for a name that signs itself: the certificate, the key."""
    certificate, key = folder / f"{name}.pem", folder / f"{name}.key"
    command = (
        *("openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1"),
        *("-nodes", "-days", "2", "-subj", f"/CN={name}", "-addext", f"subjectAltName=DNS:{name}"),
        *("-keyout", str(key), "-out", str(certificate)),
    )
    subprocess.run(command, check=True, capture_output=True)
    return certificate, key


@dataclass(frozen=True)
class Asked:
    """A request as it came in."""

    path: str
    headers: Mapping[str, str]
    body: bytes


@dataclass
class Provider:
    """What a provider was asked; it answers as its model is called."""

    asked: list[Asked] = field(default_factory=list)
    may_go_on: threading.Event = field(default_factory=threading.Event)
    port: int = 0


class _Answer(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    provider: Provider

    def log_message(self, *_words: object) -> None:
        return

    def do_POST(self) -> None:
        self.close_connection = True
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self.provider.asked.append(Asked(self.path, dict(self.headers), body))
        question = json.loads(body)
        _ANSWERS[question["model"]](self)

    def say(self, *texts: str | bytes) -> None:
        for each in texts:
            self.wfile.write(each.encode() if isinstance(each, str) else each)

    def echo(self) -> None:
        body = json.dumps({"said": json.loads(self.provider.asked[-1].body)}).encode()
        cookie = "Set-Cookie: who=you\r\nX-Request-Id: 7\r\n"
        self.say(ANSWER_HEAD, cookie, f"Content-Length: {len(body)}\r\n\r\n", body)

    def stream(self) -> None:
        self.say("HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n")
        self.say("Transfer-Encoding: chunked\r\n\r\n")
        for piece in PIECES:
            self.say(f"{len(piece):x}\r\n", piece, "\r\n")
            assert self.provider.may_go_on.wait(WAIT_S), "nobody got the first piece"
        self.say("0\r\n\r\n")

    def redirect(self) -> None:
        self.say("HTTP/1.1 302 Found\r\nLocation: https://elsewhere.test/\r\n")
        self.say("Content-Length: 0\r\n\r\n")

    def refuse(self) -> None:
        body = b'{"error":{"message":"too many requests"}}'
        self.say("HTTP/1.1 429 Slow\r\nContent-Type: application/json\r\n")
        self.say(f"Content-Length: {len(body)}\r\n\r\n", body)

    def long_header(self) -> None:
        self.say(ANSWER_HEAD, "X-Long: ", "x" * 2**20, "\r\n\r\n")

    def many_headers(self) -> None:
        self.say(ANSWER_HEAD, *(f"X-{number}: x\r\n" for number in range(1000)), "\r\n")

    def split_header(self) -> None:
        self.say("HTTP/1.1 200 OK\r\nContent-Type: text/html\r\n X-AI-Origin: local\r\n")
        self.say("X-AI-Origin: local\r\nContent-Length: 2\r\n\r\nhi")

    def endless(self) -> None:
        self.say(ANSWER_HEAD, "Connection: close\r\n\r\n")
        while True:
            self.say(b"x" * ENDLESS)

    def endless_head(self) -> None:
        while True:
            self.say("HTTP/1.1 100 Continue\r\n\r\n")

    def truncated(self) -> None:
        self.say(ANSWER_HEAD, "Content-Length: 1000\r\n\r\nonly this")

    def cut(self) -> None:
        """End without a word of TLS about it, in an answer without a length."""
        self.say(ANSWER_HEAD, "Connection: close\r\n\r\nonly this")
        self.connection.detach()

    def silent(self) -> None:
        self.provider.may_go_on.wait(WAIT_S)

    def noise(self) -> None:
        self.say(b"\x00\xff\r\n" * 100)


_ANSWERS: Mapping[str, Callable[[_Answer], None]] = {
    name: getattr(_Answer, name.replace("-", "_"))
    for name in (
        *("cut", "echo", "endless", "endless-head", "long-header", "many-headers", "noise"),
        *("redirect", "refuse", "silent", "split-header", "stream", "truncated"),
    )
}
MODELS = tuple(_ANSWERS)


class _QuietServer(ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, *_words: object) -> None:
        """Say nothing: a gateway that hangs up is what is wanted."""


def serve_provider(certificate: Path, key: Path) -> tuple[Provider, ThreadingHTTPServer]:
    """Start a provider with TLS at a port of 127.0.0.1."""
    provider = Provider()
    handler: Any = type("Answer", (_Answer,), {"provider": provider})
    server = _QuietServer(("127.0.0.1", 0), handler)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    server.socket = context.wrap_socket(
        server.socket, server_side=True, do_handshake_on_connect=False
    )
    provider.port = server.server_address[1]
    threading.Thread(target=server.serve_forever, daemon=True).start()
    return provider, server


@dataclass(frozen=True)
class Visit:
    """What a SOCKS server was told: a login, and a place, with how that was written."""

    user: bytes
    password: bytes
    kind: int
    host: str
    port: int


class SocksServer:
    """A SOCKS server at a Unix socket that leads every name to one port of 127.0.0.1.

    With `reply`, it answers each request with that code; with `is_deaf`, with nothing.
    """

    def __init__(self, path: Path, port: int, *, reply: int = 0, is_deaf: bool = False) -> None:
        self.visits: list[Visit] = []
        self._port = port
        self._reply = reply
        self._is_deaf = is_deaf
        self._door = socket.socket(socket.AF_UNIX)
        self._door.bind(str(path))
        self._door.listen()
        threading.Thread(target=self._serve, daemon=True).start()

    def close(self) -> None:
        """Let nobody in any more."""
        self._door.close()

    def _serve(self) -> None:
        while True:
            try:
                client, _ = self._door.accept()
            except OSError:
                return
            threading.Thread(target=self._lead, args=(client,), daemon=True).start()

    def _lead(self, client: socket.socket) -> None:
        with client, client.makefile("rb") as words:
            if self._is_deaf:
                words.read()
                return
            # Nothing may come along with the greeting: tor would not look at it.
            assert client.recv(64) == b"\x05\x01\x02", "a login is offered"
            client.sendall(b"\x05\x02")
            words.read(1)
            user = words.read(words.read(1)[0])
            password = words.read(words.read(1)[0])
            client.sendall(b"\x01\x00")
            _, _, _, kind = words.read(4)
            host = words.read(words.read(1)[0]).decode()
            port = int.from_bytes(words.read(2), "big")
            self.visits.append(Visit(user, password, kind, host, port))
            client.sendall(bytes((5, self._reply, 0, 1)) + bytes(6))
            if not self._reply:
                with socket.create_connection(("127.0.0.1", self._port)) as far:
                    back = threading.Thread(target=_pour, args=(far, client), daemon=True)
                    back.start()
                    _pour(client, far)
                    back.join()


def _pour(source: socket.socket, target: socket.socket) -> None:
    try:
        while piece := source.recv(65536):
            target.sendall(piece)
        target.shutdown(socket.SHUT_WR)
    except OSError:
        return
