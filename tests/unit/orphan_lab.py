# SPDX-License-Identifier: GPL-3.0-or-later
"""A program: a connection that was led to a proxy outlives the proxy and its own tracking.

Started in new network, mount and PID namespaces with RULESET PASSWD as arguments; prints JSON:
how many frames of that connection left by the cable, under the rules and after they were flushed.
"""

import contextlib
import json
import os
import signal
import socket
import sys
import time
from collections.abc import Callable
from pathlib import Path

from policy_lab import TOR, Wire, connect_cable, run

TIMEOUTS = Path("/proc/sys/net/netfilter")
FAR = ("192.0.2.1", 80)


def start_proxy() -> int:
    """Accept connections as tor does, and never answer; gives the process."""
    process = os.fork()
    if not process:
        os.setgid(TOR)
        os.setuid(TOR)
        kept = []
        with socket.create_server(("127.0.0.1", 9040)) as server:
            while True:
                kept.append(server.accept()[0])
    time.sleep(0.3)
    return process


def orphan() -> socket.socket:
    """Give a connection whose proxy is dead, and which the kernel tracks no more."""
    proxy = start_proxy()
    connection = socket.create_connection(FAR, 2)
    os.kill(proxy, signal.SIGKILL)
    os.waitpid(proxy, 0)
    time.sleep(2.5)
    return connection


def send_and_close(connection: socket.socket) -> None:
    with contextlib.suppress(OSError):
        connection.sendall(b"marked")
    connection.close()
    time.sleep(0.5)


def frames_of(wire: Wire, action: Callable[[], None]) -> int:
    return sum(frame[30:34] == bytes((192, 0, 2, 1)) for frame in wire.sent_during(action))


def main() -> None:
    ruleset, passwd = sys.argv[1:]
    run("mount", "--bind", passwd, "/etc/passwd")
    connect_cable()
    # A router that is there: without its address no frame of the control would leave.
    run("ip", "neighbour", "add", "10.9.0.1", "lladdr", "02:00:00:00:00:01", "dev", "wire0")
    wire = Wire()
    run("nft", "-f", ruleset)
    for timeout in TIMEOUTS.glob("nf_conntrack_tcp_timeout_*"):
        timeout.write_text("1")
    held, flushed = orphan(), orphan()
    results = {"under the rules": frames_of(wire, lambda: send_and_close(held))}
    run("nft", "flush", "ruleset")
    leaves = frames_of(wire, lambda: send_and_close(flushed)) > 0
    sys.stdout.write(json.dumps({**results, "leaves without rules": leaves}))
    sys.stdout.flush()
    os._exit(0)


if __name__ == "__main__":
    main()
