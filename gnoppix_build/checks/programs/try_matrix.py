# SPDX-License-Identifier: GPL-3.0-or-later
"""A program: be each user in turn and knock at each listener; one process a user.

Reads JSON from its argument: `users` (name -> number), `declared` and `doors` (protocol, address,
port), and `closed` (the same, with the number of the user who will listen there). Nobody listens at
the doors, nor at what is closed yet: the program does it itself, at the latter as that user, so
that whoever is let through is answered. The protocol `unix` has a path in the place of the address.
Prints JSON: user -> what it reached, in order.
"""

import contextlib
import errno
import json
import os
import socket
import sys
import threading

MARK = b"gnoppix-knock"
KINDS = {"tcp": socket.SOCK_STREAM, "udp": socket.SOCK_DGRAM}
# A socket in the file system says only when asked of which kind it is.
UNIX_KINDS = (socket.SOCK_STREAM, socket.SOCK_DGRAM, socket.SOCK_SEQPACKET)
TIMEOUT_S = 2.0
Target = tuple[str, str, int]


def open_doors(targets: list[Target], uid: int = 0) -> None:
    """Listen where nobody does, as this user; what comes to a datagram socket is answered."""
    for protocol, address, port in targets:
        os.seteuid(uid)
        door = socket.socket(family_of(address), KINDS[protocol])
        os.seteuid(0)
        door.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            door.bind((address, port))
        except OSError:
            door.close()
            continue
        if protocol == "tcp":
            door.listen(200)
        threading.Thread(target=answer, args=(protocol, door), daemon=True).start()


def answer(protocol: str, door: socket.socket) -> None:
    """Take whatever comes."""
    while True:
        if protocol == "tcp":
            door.accept()[0].close()
        else:
            asked, peer = door.recvfrom(100)
            with contextlib.suppress(OSError):
                door.sendto(asked, peer)


def family_of(address: str) -> socket.AddressFamily:
    """Tell IPv6 from IPv4."""
    return socket.AF_INET6 if ":" in address else socket.AF_INET


def is_reached(protocol: str, address: str, port: int) -> bool:
    """Say whether this user gets through: a connection, or a datagram that the rules take."""
    if protocol == "unix":
        return is_open(address)
    with socket.socket(family_of(address), KINDS[protocol]) as knock:
        knock.settimeout(TIMEOUT_S)
        try:
            knock.connect((address, port))
            if protocol == "udp":
                knock.send(MARK)
        except OSError:
            return False
        return True


def is_open(path: str) -> bool:
    """Say whether this user may connect to a socket in the file system."""
    for kind in UNIX_KINDS:
        with socket.socket(socket.AF_UNIX, kind) as knock:
            knock.settimeout(TIMEOUT_S)
            try:
                knock.connect(path)
            except OSError as error:
                if error.errno != errno.EPROTOTYPE:
                    return False
            else:
                return True
    return False


def knock_as(name: str, uid: int, targets: list[Target]) -> list[Target]:
    """Become the user, with its groups, in a process of its own, and list what it reached."""
    reader, writer = os.pipe()
    if not os.fork():
        os.setgroups(os.getgrouplist(name, uid))
        os.setgid(uid)
        os.setuid(uid)
        reached = [target for target in targets if is_reached(*target)]
        with os.fdopen(writer, "w") as answers:
            json.dump(reached, answers)
        os._exit(0)
    os.close(writer)
    with os.fdopen(reader) as answers:
        reached = json.load(answers)
    os.wait()
    return [(protocol, address, port) for protocol, address, port in reached]


def main() -> None:
    """Knock as all of them."""
    asked = json.loads(sys.argv[1])
    doors, declared = (
        [(kind, address, port) for kind, address, port in asked[name]]
        for name in ("doors", "declared")
    )
    open_doors(doors)
    for kind, address, port, uid in asked.get("closed", ()):
        open_doors([(kind, address, port)], uid)
    reached = {name: knock_as(name, uid, declared + doors) for name, uid in asked["users"].items()}
    sys.stdout.write(json.dumps(reached))


if __name__ == "__main__":
    main()
