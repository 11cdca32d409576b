# SPDX-License-Identifier: GPL-3.0-or-later
"""A program: somebody from outside sends before the connection is accepted.

Started in new network, mount and PID namespaces with RULESET PASSWD as arguments; prints JSON:
whether what was sent was acknowledged while nobody had accepted, and what was answered afterwards.
"""

import json
import os
import socket
import subprocess
import sys
import time

from policy_lab import TOR, connect_cable, run

PORT = 4567
CLIENT = f"""
import fcntl, socket, struct, termios, time
connection = socket.create_connection(("10.9.0.2", {PORT}), 5)
connection.sendall(b"hello")
time.sleep(0.5)
# What of it is not acknowledged. Source: tcp(7), SIOCOUTQ.
unsent = struct.unpack("i", fcntl.ioctl(connection, termios.TIOCOUTQ, b"0000"))[0]
connection.settimeout(5)
print(unsent, connection.recv(100).decode())
"""


def main() -> None:
    ruleset, passwd = sys.argv[1:]
    run("mount", "--bind", passwd, "/etc/passwd")
    outside = connect_cable()
    run("nft", "-f", ruleset)
    client = ("nsenter", f"--net=/proc/{outside}/ns/net", sys.executable, "-c", CLIENT)
    # The listener's user is told by who opened the socket.
    os.seteuid(TOR)
    server = socket.create_server(("0.0.0.0", PORT))
    os.seteuid(0)
    with server, subprocess.Popen(client, stdout=subprocess.PIPE, text=True) as sender:
        time.sleep(2)
        os.seteuid(TOR)
        connection, _ = server.accept()
        os.seteuid(0)
        connection.sendall(connection.recv(100).upper())
        said, _ = sender.communicate(timeout=10)
    unsent, _, answer = said.strip().partition(" ")
    sys.stdout.write(json.dumps({"not acknowledged": int(unsent or -1), "answer": answer}))


if __name__ == "__main__":
    main()
