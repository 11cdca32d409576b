# SPDX-License-Identifier: GPL-3.0-or-later
"""A program: put a compiled policy into force in a network of its own and try all that it decides.

Started in new network, mount and PID namespaces. Reads JSON from standard input:
`ruleset`, `chain` (of the interface `wire`), `passwd`, `listeners` ([protocol, address, port,
uid]), `users` (name -> uid) and `far` ([protocol, address, port]). Prints JSON: `near` (user ->
list of the indices of the listeners that answered), `far` (user -> list of the indices of the
destinations that a frame was sent to) and `frames` (hex of every frame that the machine sent).
"""

import contextlib
import json
import os
import socket
import subprocess
import sys
import threading
import time
from functools import partial
from pathlib import Path

from policy_lab import Wire, run

KINDS = {"tcp": socket.SOCK_STREAM, "udp": socket.SOCK_DGRAM}
NEAR, FAR = "10.9.0.2", "10.9.0.1"
FAR_CARD = "02:00:00:00:00:01"
TIMEOUT_S = 0.3


def lay_cable() -> None:
    """Lay a cable to a namespace in which every address of the tests is at home."""
    holder = subprocess.Popen(("unshare", "-n", "sleep", "60"))
    inside = ("nsenter", "-n", "-t", str(holder.pid))
    ours = Path("/proc/self/ns/net").readlink()
    while Path(f"/proc/{holder.pid}/ns/net").readlink() == ours:
        time.sleep(0.01)
    run("ip", "link", "set", "lo", "up")
    far = ("name", "far", "address", FAR_CARD, "netns", str(holder.pid))
    run("ip", "link", "add", "wire", "type", "veth", "peer", *far)
    run("ip", "address", "add", f"{NEAR}/24", "dev", "wire")
    run("ip", "link", "set", "wire", "up")
    run(*inside, "ip", "link", "set", "far", "up")
    run("ip", "route", "add", "default", "via", FAR)
    run("ip", "neighbour", "add", FAR, "lladdr", FAR_CARD, "dev", "wire", "nud", "permanent")


def serve(protocol: str, address: str, port: int, uid: int) -> None:
    """Answer for ever, as a user, in a process of its own; returns when it listens."""
    ready, is_ready = os.pipe()
    if not os.fork():
        os.setgid(uid)
        os.setuid(uid)
        with socket.socket(socket.AF_INET, KINDS[protocol]) as server:
            server.bind((address, port))
            if protocol == "tcp":
                server.listen(50)
            os.write(is_ready, b".")
            while True:
                if protocol == "tcp":
                    client, _ = server.accept()
                    with contextlib.suppress(OSError):
                        client.sendall(b"answer")
                    client.close()
                else:
                    _, peer = server.recvfrom(100)
                    with contextlib.suppress(OSError):
                        server.sendto(b"answer", peer)
    os.read(ready, 1)


def is_answered(protocol: str, address: str, port: int) -> bool:
    try:
        with socket.socket(socket.AF_INET, KINDS[protocol]) as client:
            client.settimeout(TIMEOUT_S)
            client.connect((address, port))
            if protocol == "udp":
                client.send(b"question")
            return client.recv(100) == b"answer"
    except OSError:
        return False


def send_far(protocol: str, address: str, port: int) -> None:
    with contextlib.suppress(OSError), socket.socket(socket.AF_INET, KINDS[protocol]) as client:
        client.setblocking(False)
        client.connect((address, port))
        if protocol == "udp":
            client.send(b"question")


def as_user(uid: int, results: int, listeners: list[list[object]]) -> None:
    os.setgroups([])
    os.setgid(uid)
    os.setuid(uid)
    answered = [
        index
        for index, (protocol, address, port, _) in enumerate(listeners)
        if is_answered(str(protocol), str(address), int(str(port)))
    ]
    os.write(results, json.dumps(answered).encode())


def in_child(uid: int, listeners: list[list[object]]) -> list[int]:
    reader, writer = os.pipe()
    if not os.fork():
        as_user(uid, writer, listeners)
        os._exit(0)
    os.close(writer)
    with os.fdopen(reader) as stream:
        answered: list[int] = json.load(stream)
    os.wait()
    return answered


def far_in_child(uid: int, destination: list[object]) -> None:
    if not os.fork():
        os.setgroups([])
        os.setgid(uid)
        os.setuid(uid)
        send_far(str(destination[0]), str(destination[1]), int(str(destination[2])))
        os._exit(0)
    os.wait()


def main() -> None:
    task = json.load(sys.stdin)
    Path("/tmp/passwd").write_text(task["passwd"], encoding="utf-8")  # a /tmp of this namespace
    run("mount", "--bind", "/tmp/passwd", "/etc/passwd")
    lay_cable()
    for text in (task["ruleset"], task["chain"]):
        subprocess.run(("nft", "-f", "-"), input=text.encode(), check=True)
    for listener in task["listeners"]:
        serve(*listener)
    near = {name: in_child(uid, task["listeners"]) for name, uid in task["users"].items()}
    wire = Wire("wire", patience_s=0.02)
    far: dict[str, list[int]] = {}
    frames: list[bytes] = []
    for name, uid in task["users"].items():
        far[name] = []
        for index, destination in enumerate(task["far"]):
            sent = wire.sent_during(partial(far_in_child, uid, destination))
            frames += sent
            if sent:
                far[name].append(index)
    result = {"near": near, "far": far, "frames": [frame.hex() for frame in frames]}
    sys.stdout.write(json.dumps(result))
    sys.stdout.flush()
    os._exit(0)


if __name__ == "__main__":
    watchdog = threading.Timer(60, lambda: os._exit(1))
    watchdog.daemon = True
    watchdog.start()
    main()
