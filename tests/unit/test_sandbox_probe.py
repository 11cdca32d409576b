# SPDX-License-Identifier: GPL-3.0-or-later
"""The probe of sandboxes: whatever sockets are called, it tells which of them are reached."""

import json
import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from gnoppix_build.checks.programs import source_of

# Not UTF-8, and with a byte that ends a line for those who split by `str.splitlines`.
ODD = b"odd\xff\x85\xe9 socket"


@pytest.fixture
def opened() -> Iterator[ExitStack]:
    with ExitStack() as stack:
        yield stack


def listen(opened: ExitStack, address: bytes, kind: int = socket.SOCK_STREAM) -> socket.socket:
    server = opened.enter_context(socket.socket(socket.AF_UNIX, kind))
    server.bind(address)
    if kind != socket.SOCK_DGRAM:
        server.listen(0)
    return server


def beside(folder: Path) -> list[bytes]:
    """Give what is beside the way to a folder: what is not the test's is not connected to."""
    ways = (folder, *folder.parents)
    return [bytes(each) for way in ways[1:] for each in way.iterdir() if each not in ways]


def has_no_rings() -> bool:
    setting = Path("/proc/sys/kernel/io_uring_disabled")
    return not setting.exists() or setting.read_text().strip() != "0"


def probe(folder: Path, names: list[bytes], *skip: bytes, **environment: str) -> dict[str, Any]:
    """Run the probe, for one folder and for sockets that are named."""
    asked = {
        "sockets": [as_told(name) for name in names],
        "skip": [as_told(each) for each in (*beside(folder), *skip)],
    }
    done = subprocess.run(
        (sys.executable, "-I", "-S", "-c", source_of("try_sockets")),
        input=json.dumps(asked).encode(),
        capture_output=True,
        check=False,
        env=environment,
    )
    assert done.returncode == 0, done.stderr.decode()
    answer: dict[str, Any] = json.loads(done.stdout)
    return answer


def as_told(name: bytes) -> str:
    return name.decode("utf-8", "surrogateescape")


@pytest.mark.parametrize("locale", ["C", "C.UTF-8", "de_DE.ISO-8859-1"])
def test_probe_reaches_sockets_with_any_name(
    opened: ExitStack, tmp_path: Path, locale: str
) -> None:
    odd = bytes(tmp_path / os.fsdecode(ODD))
    abstract = b"gnoppix-%d" % os.getpid()
    listen(opened, odd)
    listen(opened, b"\0" + abstract)
    listen(opened, b"\0" + abstract + b"\0\xff\0")
    there = [odd, b"@" + abstract, b"@" + abstract + b"@\xff@"]
    absent = [b"/nothing", b"@nothing", b"", b"@", b"/a\0b", b"/" + b"long" * 99, b"@" * 400]
    answer = probe(tmp_path, [*there, *absent], LC_ALL=locale)
    reached = [name for name in (*there, *absent) if as_told(name) in answer["reached"]]
    assert reached == there
    assert socket.AF_INET in answer["families"], "nothing confines this run"


@pytest.mark.skipif(has_no_rings(), reason="the kernel gives nobody an io_uring here")
def test_probe_is_given_a_ring(tmp_path: Path) -> None:
    assert probe(tmp_path, [])["ring"] == 0


def test_probe_finds_sockets_that_it_was_not_told(opened: ExitStack, tmp_path: Path) -> None:
    place = bytes(tmp_path / os.fsdecode(ODD))
    hidden = tmp_path / "hidden"
    hidden.mkdir()
    listen(opened, place, socket.SOCK_SEQPACKET)
    listen(opened, bytes(hidden / "socket"))
    (tmp_path / "link").symlink_to(hidden / "socket")
    reached = probe(tmp_path, [], bytes(hidden))["reached"]
    assert as_told(place) in reached
    assert [path for path in reached if "hidden" in path or "link" in path] == []


def test_probe_reaches_a_server_whose_queue_is_full(opened: ExitStack, tmp_path: Path) -> None:
    place = bytes(tmp_path / "busy")
    listen(opened, place)
    waiting = opened.enter_context(socket.socket(socket.AF_UNIX))
    waiting.connect(place)
    late = opened.enter_context(socket.socket(socket.AF_UNIX))
    late.setblocking(False)
    with pytest.raises(BlockingIOError):
        late.connect(place)
    assert as_told(place) in probe(tmp_path, [place])["reached"]
