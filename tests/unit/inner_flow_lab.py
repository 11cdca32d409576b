# SPDX-License-Identifier: GPL-3.0-or-later
"""A program: users who talk to themselves, and to each other, at ports that the kernel chose.

Started in new network, mount and PID namespaces with the path of a ruleset and of a passwd file.
Prints JSON: `CLIENT to SERVER` -> whether the server's answer came back.
"""

import json
import os
import socket
import subprocess
import sys
from pathlib import Path

USERS = {"one": 901, "two": 902, "three": 903}
TIMEOUT_S = 0.3


def serve(uid: int) -> int:
    """Answer for ever, as a user, in a process of its own; give the port that it got."""
    told, tell = os.pipe()
    if not os.fork():
        os.setgid(uid)
        os.setuid(uid)
        with socket.create_server(("127.0.0.1", 0)) as server:
            os.write(tell, str(server.getsockname()[1]).encode())
            while True:
                client, _ = server.accept()
                with client:
                    client.sendall(client.recv(100))
    return int(os.read(told, 10))


def is_answered(uid: int, port: int) -> bool:
    """Ask as a user, in a process of its own."""
    child = os.fork()
    if not child:
        os.setgid(uid)
        os.setuid(uid)
        try:
            with socket.create_connection(("127.0.0.1", port), TIMEOUT_S) as client:
                client.sendall(b"question")
                os._exit(0 if client.recv(100) == b"question" else 1)
        except OSError:
            os._exit(1)
    return os.waitpid(child, 0)[1] == 0


def main() -> None:
    ruleset, passwd = sys.argv[1:]
    subprocess.run(("mount", "--bind", passwd, "/etc/passwd"), check=True)
    subprocess.run(("ip", "link", "set", "lo", "up"), check=True)
    Path("/proc/sys/net/ipv4/ip_local_port_range").write_text("32768 60999")
    ports = {name: serve(uid) for name, uid in USERS.items()}
    subprocess.run(("nft", "-f", ruleset), check=True)
    answers = {
        f"{client} to {server}": is_answered(uid, port)
        for client, uid in {**USERS, "root": 0}.items()
        for server, port in ports.items()
    }
    sys.stdout.write(json.dumps(answers))


if __name__ == "__main__":
    main()
    sys.stdout.flush()
    os._exit(0)
