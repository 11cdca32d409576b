# SPDX-License-Identifier: GPL-3.0-or-later
"""A program: from inside of a sandbox, try every family of sockets, every Unix socket, and a ring.

Reads JSON from standard input: `sockets`, paths that the system has (`@` begins an abstract name),
and `skip`, folders that are of the test's own. Prints JSON: the `families` of which a socket could
be made, the Unix sockets that were `reached`, how many were `tried`, and the `ring`: the number of
the error with which the kernel refuses an io_uring, which makes sockets of any family, or 0. Names
are bytes: what is not UTF-8 in them stands in JSON as Python's surrogates.
"""

import contextlib
import ctypes
import json
import os
import socket
import stat
import sys
from collections.abc import Iterator

LAST_FAMILY = 45  # linux/socket.h, AF_MAX
IO_URING_SETUP = 425  # asm-generic/unistd.h, the same on all architectures
PARAMETERS_BYTES = 120  # linux/io_uring.h, struct io_uring_params
KINDS = (socket.SOCK_STREAM, socket.SOCK_DGRAM, socket.SOCK_SEQPACKET, socket.SOCK_RAW)
NEVER_TRIED = (OSError, ValueError)
"""What the kernel refuses, and what Python does not even hand over to it."""


def made(family: int) -> bool:
    """Tell whether a socket of a family can be made, of whatever kind."""
    for kind in KINDS:
        with contextlib.suppress(*NEVER_TRIED), socket.socket(family, kind):
            return True
    return False


def sockets_below(folder: bytes, skip: set[bytes]) -> Iterator[bytes]:
    """Give the sockets in a folder and below it, as far as it can be looked at."""
    for place, folders, files in os.walk(folder):
        above = place.rstrip(b"/") + b"/"
        folders[:] = [name for name in folders if above + name not in skip]
        for path in (above + name for name in files):
            with contextlib.suppress(*NEVER_TRIED):
                if stat.S_ISSOCK(os.lstat(path).st_mode):
                    yield path


def addresses_of(path: bytes) -> Iterator[bytes]:
    """Give what a name may stand for: the kernel writes each null of an abstract one as `@`."""
    if not path.startswith(b"@"):
        yield path
        return
    yield b"\0" + path[1:]
    if b"@" in path[1:]:
        yield path.replace(b"@", b"\0")


def is_reached(path: bytes) -> bool:
    """Tell whether a connection is taken, whatever the kind of the socket."""
    for address in addresses_of(path):
        for kind in KINDS[:3]:
            with (
                contextlib.suppress(*NEVER_TRIED),
                socket.socket(socket.AF_UNIX, kind) as probe,
            ):
                probe.setblocking(False)
                # A server whose queue is full is reached as well: see unix(7), EAGAIN.
                with contextlib.suppress(BlockingIOError):
                    probe.connect(address)
                return True
    return False


def error_of_ring() -> int:
    """Ask for an io_uring, and give the number of the error."""
    library = ctypes.CDLL(None, use_errno=True)
    made = library.syscall(IO_URING_SETUP, 1, ctypes.create_string_buffer(PARAMETERS_BYTES))
    return ctypes.get_errno() if made < 0 else 0


def encoded(names: list[str]) -> set[bytes]:
    """Give names as the system writes them, whatever the locale is here."""
    return {name.encode("utf-8", "surrogateescape") for name in names}


def main() -> None:
    """Try all."""
    asked = json.loads(sys.stdin.buffer.read())
    paths = sorted(encoded(asked["sockets"]).union(sockets_below(b"/", encoded(asked["skip"]))))
    families = [each for each in range(1, LAST_FAMILY + 1) if each != socket.AF_UNIX and made(each)]
    reached = [path.decode("utf-8", "surrogateescape") for path in paths if is_reached(path)]
    found = {"families": families, "reached": reached, "tried": len(paths)}
    answer = {**found, "ring": error_of_ring()}
    sys.stdout.write(json.dumps(answer))


if __name__ == "__main__":
    main()
