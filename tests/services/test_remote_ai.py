# SPDX-License-Identifier: GPL-3.0-or-later
"""The gateway to remote models, against a SOCKS server and a provider that are as bad as can be."""

import http.client
import json
import os
import re
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from http.client import HTTPResponse
from pathlib import Path
from typing import Any

import pytest
from remote_provider import (
    MODELS,
    NAME,
    PIECES,
    WAIT_S,
    Provider,
    SocksServer,
    make_certificate,
    serve_provider,
)

PROJECT = Path(__file__).parents[2]
PROGRAM = PROJECT / "gnoppix_build/components/remote-ai/files/usr/lib/gnoppix/remote-ai"
KEY = "sk-canary-0d9f3a"
CHAT = "/v1/chat/completions"
# Runs the gateway with its socket as systemd passes it (number 3, sd_listen_fds(3)), and writes
# down every name that it looks up, every socket that it makes and every file that it opens.
WATCHED = """
import os, runpy, sys
os.dup2(int(sys.argv[1]), 3)
def note(event, arguments):
    if event.startswith("socket.") or event in ("open", "subprocess.Popen", "os.system"):
        if event == "open" and not isinstance(arguments[1], str):
            return
        print(event, *map(repr, arguments), file=log, flush=True)
log = open(sys.argv[2], "w")
sys.argv = sys.argv[3:]
sys.addaudithook(note)
runpy.run_path(sys.argv[0], run_name="__main__")
"""
NO_KEY = (
    "there is no key for `keyless`: as root, write it with `systemd-creds encrypt "
    "--name=remote-ai.keyless - /etc/credstore.encrypted/remote-ai.keyless`, then "
    "`systemctl stop remote-ai.service`"
)
OTHER_NAME = (
    "`example` does not prove its name: Hostname mismatch, certificate is not valid for "
    "'other.provider.test'."
)
FAMILY = re.compile(r"^socket\.__new__ <.*?> (\S+)", re.MULTILINE)
LIMITS = {
    "request": 20_000,
    "answer": 1_000_000,
    "clients": 3,
    "client_s": 5,
    "tor_s": 1,
    "connect_s": 1,
    "silence_s": 2,
    "whole_s": 4,
    "idle_s": 60,
}


@dataclass(frozen=True)
class Gateway:
    """A gateway that runs, with what is around it."""

    socket: Path
    process: subprocess.Popen[bytes]
    watched: Path
    said: Path

    def ask(
        self,
        body: object,
        path: str = CHAT,
        method: str = "POST",
        headers: dict[str, str] | None = None,
    ) -> HTTPResponse:
        """Ask, and give the answer when its head is there."""
        connection = http.client.HTTPConnection("gateway")
        connection.sock = socket.socket(socket.AF_UNIX)
        connection.sock.settimeout(WAIT_S)
        connection.sock.connect(str(self.socket))
        content = body if isinstance(body, bytes) else json.dumps(body).encode()
        connection.request(method, path, content, headers or {})
        return connection.getresponse()

    def refused(self, body: object, *words: Any) -> tuple[int, str, str]:
        """Ask what is refused; give the status, the code and the message."""
        answer = self.ask(body, *words)
        assert answer.headers["X-AI-Origin"] == "remote"
        fault = json.load(answer)["error"]
        return answer.status, fault["code"], fault["message"]


def question(model: str, **more: object) -> dict[str, object]:
    return {"model": model, "messages": [{"role": "user", "content": "hello"}], **more}


@contextmanager
def gateway_to(
    folder: Path, base_url: str, authority: str, limits: dict[str, float] | None = None
) -> Iterator[Gateway]:
    """Run the gateway as its unit does, with a socket passed and a key in a folder."""
    document = {
        "providers": [
            {"name": "example", "base_url": base_url, "models": MODELS, "authority": authority},
            {"name": "keyless", "base_url": base_url, "models": ["k"], "authority": authority},
        ],
        "limits": {**LIMITS, **(limits or {})},
    }
    (folder / "providers.json").write_text(json.dumps(document))
    keys = folder / "keys"
    keys.mkdir()
    (keys / "remote-ai.example").write_text(f"{KEY}\n")
    watched, said = folder / "watched", folder / "said"
    with socket.socket(socket.AF_UNIX) as door, said.open("wb") as output:
        door.bind(str(folder / "llm.sock"))
        door.listen()
        words: list[str | Path] = [str(door.fileno()), watched, PROGRAM, folder / "providers.json"]
        process = subprocess.Popen(
            [sys.executable, "-I", "-c", WATCHED, *words, folder / "tor.sock"],
            pass_fds=(door.fileno(),),
            env={"LISTEN_FDS": "1", "CREDENTIALS_DIRECTORY": str(keys), "PATH": os.defpath},
            stdout=output,
            stderr=output,
        )
        try:
            yield Gateway(folder / "llm.sock", process, watched, said)
        finally:
            process.kill()
            process.wait()


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    return make_certificate(tmp_path_factory.mktemp("certificate"))


@pytest.fixture
def provider(certificate: tuple[Path, Path]) -> Iterator[Provider]:
    provider, server = serve_provider(*certificate)
    yield provider
    provider.may_go_on.set()
    server.shutdown()
    server.server_close()


@pytest.fixture
def tor(provider: Provider, tmp_path: Path) -> Iterator[SocksServer]:
    server = SocksServer(tmp_path / "tor.sock", provider.port)
    yield server
    server.close()


@pytest.fixture
def gateway(certificate: tuple[Path, Path], tmp_path: Path) -> Iterator[Gateway]:
    with gateway_to(tmp_path, f"https://{NAME}/api/v1", str(certificate[0])) as running:
        yield running


def test_question_arrives_without_what_the_client_says_of_itself(
    gateway: Gateway, provider: Provider, tor: SocksServer
) -> None:
    headers = {
        "Authorization": "Bearer the-clients-own",
        "Cookie": "session=1",
        "OpenAI-Organization": "mine",
        "User-Agent": "OpenAI/Python 9.9",
        "X-Forwarded-For": "192.0.2.7",
        "X-Stainless-OS": "Linux",
    }
    more = {"user": "alice", "metadata": {"a": "b"}, "safety_identifier": "s", "temperature": 0}
    answer = gateway.ask(question("echo", **more), headers=headers)
    said = json.load(answer)["said"]
    asked = provider.asked[0]
    assert said == question("echo", temperature=0)
    assert asked.path == "/api/v1/chat/completions"
    assert asked.headers == {
        "Host": NAME,
        "Accept": "*/*",
        "Accept-Encoding": "identity",
        "Authorization": f"Bearer {KEY}",
        "Connection": "close",
        "Content-Length": str(len(asked.body)),
        "Content-Type": "application/json",
    }
    assert dict(answer.headers) == {
        "X-AI-Origin": "remote",
        "X-AI-Provider": "example",
        "Content-Type": "application/json",
        "Transfer-Encoding": "chunked",
        "Connection": "close",
    }
    assert tor.visits[0].kind == 3


def test_each_request_has_a_login_of_its_own_and_no_name_is_looked_up(
    gateway: Gateway, tor: SocksServer, tmp_path: Path
) -> None:
    for _ in range(3):
        assert gateway.ask(question("echo")).read()
    assert [(each.kind, each.host, each.port) for each in tor.visits] == [(3, NAME, 443)] * 3
    logins = {each.user for each in tor.visits} | {each.password for each in tor.visits}
    assert len({each.user for each in tor.visits}) == 3
    assert all(len(each) == 32 for each in logins)
    events = [line.split(" ", 2) for line in gateway.watched.read_text().splitlines()]
    names = {event for event, *_ in events}
    assert names == {"open", "socket.__new__", "socket.connect"}
    connected = {rest[-1] for event, *rest in events if event == "socket.connect"}
    assert {each.rpartition(" ")[2] for each in connected} == {repr(str(tmp_path / "tor.sock"))}
    # A socket that was passed, or is doubled, has no family of its own in the event.
    families = FAMILY.findall(gateway.watched.read_text())
    assert {*families} <= {str(int(socket.AF_UNIX)), "-1"}
    assert families
    written = [rest for event, *rest in events if event == "open" and "'w" in rest[-1]]
    assert written == []


def test_key_is_in_no_log_and_in_no_list_of_processes(
    gateway: Gateway, provider: Provider, tor: SocksServer
) -> None:
    del tor
    assert gateway.ask(question("echo")).read()
    gateway.ask(question("endless")).close()
    for fault in ("redirect", "noise", "long-header"):
        assert KEY not in str(gateway.refused(question(fault)))
    assert [each.headers["Authorization"] for each in provider.asked] == [f"Bearer {KEY}"] * 5
    process = Path(f"/proc/{gateway.process.pid}")
    seen = (process / "cmdline").read_bytes() + (process / "environ").read_bytes()
    assert KEY.encode() not in seen
    assert gateway.said.read_bytes() == b""


def test_stream_arrives_as_a_stream(gateway: Gateway, provider: Provider, tor: SocksServer) -> None:
    del tor
    answer = gateway.ask(question("stream", stream=True))
    first = answer.read1(4096)
    assert first == PIECES[0]
    assert answer.headers["Content-Type"] == "text/event-stream"
    assert not provider.may_go_on.is_set(), "the provider has not sent the rest"
    provider.may_go_on.set()
    assert answer.read() == PIECES[1]


def test_models_are_listed_without_asking_anybody(gateway: Gateway, tor: SocksServer) -> None:
    answer = gateway.ask(b"", "/v1/models", "GET")
    assert [each["id"] for each in json.load(answer)["data"]] == [*MODELS, "k"]
    assert answer.headers["X-AI-Origin"] == "remote"
    assert tor.visits == []


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("POST", "/v1/files", 403),
        ("POST", "/v1/chat/completions/../files", 403),
        ("POST", "https://elsewhere.test/v1/chat/completions", 403),
        ("GET", "/v1/chat/completions", 403),
        ("DELETE", "/v1/models", 501),
        ("CONNECT", "elsewhere.test:443", 501),
    ],
)
def test_nothing_else_is_passed_on(
    gateway: Gateway, tor: SocksServer, method: str, path: str, status: int
) -> None:
    assert gateway.refused(question("echo"), path, method)[0] == status
    assert tor.visits == []


@pytest.mark.parametrize(
    ("body", "status", "code"),
    [
        (b"[1]", 400, "not_json"),
        (b"[" * 15_000, 400, "not_json"),
        (b'{"model": "echo", "x": NaN}', 400, "not_json"),
        (b"x" * 20_001, 413, "too_large"),
        (b"x" * 5_000_000, 413, "too_large"),
        (b'{"model": ["echo"]}', 404, "model_not_found"),
        (b'{"messages": []}', 404, "model_not_found"),
    ],
)
def test_what_is_no_question_is_refused(
    gateway: Gateway, tor: SocksServer, body: bytes, status: int, code: str
) -> None:
    assert gateway.refused(body)[:2] == (status, code)
    assert tor.visits == []


def test_question_without_a_length_is_refused(gateway: Gateway, tor: SocksServer) -> None:
    assert gateway.refused(b"", CHAT, "POST", {"Transfer-Encoding": "chunked"})[0] == 411
    assert tor.visits == []


def test_provider_without_a_key_is_not_asked(gateway: Gateway, tor: SocksServer) -> None:
    assert gateway.refused(question("k")) == (
        503,
        "no_key",
        NO_KEY,
    )
    assert tor.visits == []


@pytest.mark.parametrize(
    ("model", "code", "message"),
    [
        ("redirect", "redirect", "`example` sends elsewhere, where nobody follows"),
        ("long-header", "provider", "`example` does not answer as it should: LineTooLong"),
        ("many-headers", "provider", "`example` does not answer as it should: HTTPException"),
        ("noise", "provider", "`example` does not answer as it should: BadStatusLine"),
        ("silent", "provider", "`example` does not answer as it should: TimeoutError"),
    ],
)
def test_bad_answer_is_an_error_within_seconds(
    gateway: Gateway, tor: SocksServer, model: str, code: str, message: str
) -> None:
    started = time.monotonic()
    assert gateway.refused(question(model)) == (502, code, message)
    assert time.monotonic() - started < WAIT_S
    assert len(tor.visits) == 1


def test_head_without_an_end_is_cut_off(gateway: Gateway, tor: SocksServer) -> None:
    del tor
    status, code, _ = gateway.refused(question("endless-head"))
    assert (status, code) == (502, "provider")


@pytest.mark.parametrize("model", ["cut", "endless", "truncated"])
def test_answer_that_is_not_whole_is_not_taken_for_whole(
    gateway: Gateway, tor: SocksServer, model: str
) -> None:
    del tor
    answer = gateway.ask(question(model))
    assert answer.status == 200
    with pytest.raises(http.client.IncompleteRead) as caught:
        answer.read()
    assert len(caught.value.partial) <= LIMITS["answer"]


def test_faults_of_the_provider_are_passed_on(gateway: Gateway, tor: SocksServer) -> None:
    del tor
    answer = gateway.ask(question("refuse"))
    assert (answer.status, answer.headers["X-AI-Origin"]) == (429, "remote")
    assert json.load(answer) == {"error": {"message": "too many requests"}}


def test_provider_cannot_call_its_answer_local(gateway: Gateway, tor: SocksServer) -> None:
    del tor
    answer = gateway.ask(question("split-header"))
    assert answer.headers.get_all("X-AI-Origin") == ["remote"]
    assert answer.headers["Content-Type"] == "application/octet-stream"
    assert answer.read() == b"hi"


def test_crowd_waits_at_the_door(
    certificate: tuple[Path, Path], provider: Provider, tor: SocksServer, tmp_path: Path
) -> None:
    patient = {"silence_s": WAIT_S, "whole_s": WAIT_S}
    with gateway_to(tmp_path, f"https://{NAME}", str(certificate[0]), patient) as gateway:
        inside = [gateway.ask(question("stream")) for _ in range(3)]
        assert len(tor.visits) == 3
        statuses: list[int] = []
        late = threading.Thread(
            target=lambda: statuses.append(gateway.ask(b"", "/v1/models", "GET").status)
        )
        late.start()
        late.join(1)
        assert statuses == []
        provider.may_go_on.set()
        late.join(WAIT_S)
        assert statuses == [200]
        assert [each.read() for each in inside] == [b"".join(PIECES)] * 3


@pytest.mark.parametrize(
    ("reply", "is_deaf", "message"),
    [
        (1, False, "Tor did not get through"),
        (4, False, "Tor does not find the provider"),
        (0, True, "tor does not answer: `systemctl status tor@default.service`"),
    ],
)
def test_tor_that_does_not_get_through_is_told_within_seconds(
    gateway: Gateway, tmp_path: Path, reply: int, is_deaf: bool, message: str
) -> None:
    server = SocksServer(tmp_path / "tor.sock", 9, reply=reply, is_deaf=is_deaf)
    started = time.monotonic()
    assert gateway.refused(question("echo")) == (502, "tor", message)
    assert time.monotonic() - started < WAIT_S
    server.close()


def test_tor_that_is_not_there_is_told_at_once(gateway: Gateway) -> None:
    message = "tor does not answer: `systemctl status tor@default.service`"
    assert gateway.refused(question("echo")) == (502, "tor", message)


@pytest.mark.parametrize(
    ("base_url", "is_pinned", "message"),
    [
        (f"https://{NAME}", False, "`example` does not prove its name: self-signed certificate"),
        (
            "https://other.provider.test",
            True,
            OTHER_NAME,
        ),
    ],
)
def test_provider_that_does_not_prove_its_name_gets_no_key(
    tor: SocksServer,
    provider: Provider,
    certificate: tuple[Path, Path],
    tmp_path: Path,
    base_url: str,
    is_pinned: bool,
    message: str,
) -> None:
    with gateway_to(tmp_path, base_url, str(certificate[0]) if is_pinned else "") as gateway:
        assert gateway.refused(question("echo")) == (502, "certificate", message)
    assert len(tor.visits) == 1
    assert provider.asked == []


def test_gateway_ends_when_nobody_asks(certificate: tuple[Path, Path], tmp_path: Path) -> None:
    limits = {"idle_s": 0.2}
    with gateway_to(tmp_path, f"https://{NAME}", str(certificate[0]), limits) as gateway:
        assert gateway.process.wait(WAIT_S) == 0


def run_alone(arguments: Sequence[str], environment: dict[str, str]) -> str:
    done = subprocess.run(
        (sys.executable, PROGRAM, *arguments),
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 1
    return done.stderr


def test_gateway_wants_a_socket_and_models_of_one_provider(tmp_path: Path) -> None:
    assert run_alone(["a", "b"], {}).startswith("usage: remote-ai PROVIDERS TOR_SOCKET")
    one = {"name": "one", "base_url": "https://a.test", "models": ["m", "n"], "authority": ""}
    file = tmp_path / "providers.json"
    file.write_text(json.dumps({"providers": [one, {**one, "name": "two", "models": ["n"]}]}))
    said = run_alone([str(file), "/nonexistent"], {"LISTEN_FDS": "1"})
    assert said == f"{file}: offered by two providers: n\n"
