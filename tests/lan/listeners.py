# SPDX-License-Identifier: GPL-3.0-or-later
"""A program: listen as other users would. Argument: JSON of [protocol, address, port, uid]."""

import json
import os
import signal
import socket
import sys

KINDS = {"tcp": socket.SOCK_STREAM, "udp": socket.SOCK_DGRAM}


def listen(protocol: str, address: str, port: int, uid: int) -> None:
    """Listen for ever; the socket belongs to the user."""
    os.setgid(uid)
    os.setuid(uid)
    with socket.socket(socket.AF_INET, KINDS[protocol]) as door:
        door.bind((address, port))
        while protocol == "udp":
            door.recv(100)
        door.listen()
        while True:
            door.accept()[0].close()


for listener in json.loads(sys.argv[1]):
    if not os.fork():
        listen(*listener)
signal.pause()
