# SPDX-License-Identifier: GPL-3.0-or-later
"""QEMU's machine protocol over a connected socket."""

import json
import socket

from gnoppix_build.effects.guest_channel import GuestFault


class Monitor:
    """Commands to a running QEMU, by its machine protocol.

    Source: QEMU Machine Protocol Specification.
    """

    def __init__(self, connection: socket.socket) -> None:
        self._connection = connection
        self._received = bytearray()

    def negotiate(self, timeout_s: float = 60.0) -> None:
        """Take the greeting and leave negotiation mode."""
        self._connection.settimeout(timeout_s)
        self._read_message()
        self._execute({"execute": "qmp_capabilities"})

    def run_human_command(self, command_line: str, timeout_s: float = 120.0) -> None:
        """Run a command of the human monitor; any text that it answers is its complaint."""
        self._connection.settimeout(timeout_s)
        answer = self._execute(
            {"execute": "human-monitor-command", "arguments": {"command-line": command_line}}
        )
        if isinstance(answer, str) and answer.strip():
            raise GuestFault(f"QEMU refused `{command_line}`: {answer.strip()}")

    def _execute(self, command: dict[str, object]) -> object:
        try:
            self._connection.sendall(json.dumps(command).encode() + b"\n")
        except OSError as error:
            raise GuestFault(f"QEMU's monitor is gone: {error.strerror}") from error
        while True:
            message = self._read_message()
            if "error" in message:
                raise GuestFault(f"QEMU refused `{command['execute']}`: {message['error']}")
            if "return" in message:
                return message["return"]

    def _read_message(self) -> dict[str, object]:
        while b"\n" not in self._received:
            try:
                chunk = self._connection.recv(1 << 16)
            except TimeoutError:
                raise GuestFault("QEMU's monitor did not answer in time") from None
            except OSError as error:
                raise GuestFault(f"QEMU's monitor is gone: {error.strerror}") from error
            if not chunk:
                raise GuestFault("QEMU ended")
            self._received += chunk
        line, _, rest = bytes(self._received).partition(b"\n")
        self._received = bytearray(rest)
        message = json.loads(line)
        assert isinstance(message, dict)
        return message
