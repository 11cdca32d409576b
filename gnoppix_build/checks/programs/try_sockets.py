# SPDX-License-Identifier: GPL-3.0-or-later
"""A program: from inside of a sandbox, try every family of sockets and every Unix socket.

Reads JSON from standard input: `sockets`, paths that the system has (`@` begins an abstract name),
and `skip`, folders that are of the test's own. Prints JSON: the `families` of which a socket could
be made, the Unix sockets that were `reached`, and how many were `tried`.
"""

import contextlib
import json
import os
import socket
import sys
from collections.abc import Iterator
from pathlib import Path

LAST_FAMILY = 45  # linux/socket.h, AF_MAX
KINDS = (socket.SOCK_STREAM, socket.SOCK_DGRAM, socket.SOCK_SEQPACKET, socket.SOCK_RAW)


def made(family: int) -> bool:
    """Tell whether a socket of a family can be made, of whatever kind."""
    for kind in KINDS:
        with contextlib.suppress(OSError), socket.socket(family, kind):
            return True
    return False


def sockets_below(folder: str, skip: set[str]) -> Iterator[str]:
    """Give the sockets in a folder and below it."""
    for place, folders, files in os.walk(folder):
        folders[:] = [name for name in folders if str(Path(place, name)) not in skip]
        for path in (Path(place, name) for name in files):
            with contextlib.suppress(OSError):
                if path.is_socket() and not path.is_symlink():
                    yield str(path)


def is_reached(path: str) -> bool:
    """Tell whether a connection is taken, whatever the kind of the socket."""
    address = f"\0{path[1:]}" if path.startswith("@") else path
    for kind in KINDS[:3]:
        with contextlib.suppress(OSError), socket.socket(socket.AF_UNIX, kind) as probe:
            probe.connect(address)
            return True
    return False


def main() -> None:
    """Try all."""
    asked = json.load(sys.stdin)
    paths = sorted({*asked["sockets"], *sockets_below("/", set(asked["skip"]))})
    families = [each for each in range(1, LAST_FAMILY + 1) if each != socket.AF_UNIX and made(each)]
    reached = [path for path in paths if is_reached(path)]
    json.dump({"families": families, "reached": reached, "tried": len(paths)}, sys.stdout)


if __name__ == "__main__":
    main()
