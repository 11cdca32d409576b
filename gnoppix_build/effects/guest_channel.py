# SPDX-License-Identifier: GPL-3.0-or-later
"""Commands over the byte stream of a root shell inside a guest."""

import base64
import re
import secrets
import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager

from gnoppix_build.effects.faults import Fault
from gnoppix_build.targets.shell import CommandOutcome

PORT_NAME = "verify"
UNIT_NAME = "v.service"
# Each stream goes through a file, so that a daemon which keeps its output open holds nothing up.
REQUEST = (
    "umask 077; D=$(mktemp -d /run/{marker}.XXXXXX); printf %s {command} | base64 -d >$D/c; "
    "timeout -k 5 {timeout_s} /bin/sh $D/c </dev/null >$D/o 2>$D/e; S=$?; "
    'printf "{marker} %s " $S; base64 -w0 <$D/o; printf " "; base64 -w0 <$D/e; '
    'printf " {marker}\\n"; rm -rf $D\n'
)
# Nothing is sent before this came: UEFI's own driver listens on the port, and GRUB behind it.
GREETING = "gnoppix-shell-is-ready"
# The port may appear before the unit is started or after: it cannot start without, and tries again.
SHELL_UNIT = f"""\
[Unit]
DefaultDependencies=no
After=sysinit.target
StartLimitIntervalSec=0
[Service]
Environment=HOME=/root LC_ALL=C.UTF-8
Restart=on-failure
RestartSec=1
ExecStart=/bin/sh -c "echo; echo {GREETING}; exec /bin/sh"
StandardInput=file:/dev/virtio-ports/{PORT_NAME}
StandardOutput=file:/dev/virtio-ports/{PORT_NAME}
StandardError=null
"""
DROP_IN = f"[Unit]\nWants={UNIT_NAME}\n"


class GuestFault(Fault):
    """The guest died or did not answer in time."""

    code = "guest"


def shell_credentials() -> tuple[str, str]:
    """Give the SMBIOS type 11 strings that make systemd start a root shell on the port.

    Source: systemd.system-credentials(7), systemd-debug-generator(8).
    """
    return (
        credential_string(f"systemd.extra-unit.{UNIT_NAME}", SHELL_UNIT),
        credential_string("systemd.unit-dropin.basic.target", DROP_IN),
    )


def credential_string(name: str, text: str) -> str:
    """Give the SMBIOS type 11 string that brings a credential to a guest."""
    return f"io.systemd.credential.binary:{name}={base64.b64encode(text.encode()).decode()}"


class GuestChannel:
    """A root shell at the other end of a connected socket."""

    def __init__(self, connection: socket.socket) -> None:
        self._connection = connection

    def wait_for_greeting(self, timeout_s: float) -> None:
        """Return when the shell is there; commands before it would reach the firmware."""
        with _explained_silence():
            self._receive_until(f"\n{GREETING}\n".encode(), time.monotonic() + timeout_s)

    def run(self, command: str, timeout_s: float, grace_s: float = 30.0) -> CommandOutcome:
        """Run a command; status 124 says that the guest stopped it after `timeout_s`.

        Raises GuestFault when the shell itself stays silent for `grace_s` more.
        """
        marker = f"gnoppix-{secrets.token_hex(8)}"
        request = REQUEST.format(
            marker=marker,
            command=base64.b64encode(command.encode()).decode(),
            timeout_s=max(1, round(timeout_s)),
        )
        deadline = time.monotonic() + timeout_s + grace_s
        with _explained_silence():
            self._send(request.encode(), deadline)
            answer = self._receive_until(f" {marker}\n".encode(), deadline)
        return _read_answer(answer, marker)

    def _send(self, request: bytes, deadline: float) -> None:
        self._connection.settimeout(_seconds_until(deadline))
        self._connection.sendall(request)

    def _receive_until(self, end: bytes, deadline: float) -> bytes:
        received = bytearray()
        while True:
            self._connection.settimeout(_seconds_until(deadline))
            chunk = self._connection.recv(1 << 16)
            if not chunk:
                raise GuestFault("the guest's root shell closed its port")
            searched_from = max(0, len(received) - len(end))
            received += chunk
            if received.find(end, searched_from) >= 0:
                return bytes(received)


def _read_answer(answer: bytes, marker: str) -> CommandOutcome:
    """Take the answer apart; what earlier commands left on the port comes before it."""
    word = marker.encode()
    found = re.search(rb"%s (\d+) ([A-Za-z0-9+/=]*) ([A-Za-z0-9+/=]*) %s\n" % (word, word), answer)
    if found is None:
        raise GuestFault("the guest's root shell gave a garbled answer")
    status, stdout, stderr = found.groups()
    return CommandOutcome(int(status), base64.b64decode(stdout), base64.b64decode(stderr))


@contextmanager
def _explained_silence() -> Iterator[None]:
    try:
        yield
    except TimeoutError:
        raise GuestFault("the guest's root shell did not answer in time") from None
    except OSError as error:
        raise GuestFault(f"the guest's root shell is gone: {error.strerror}") from error


def _seconds_until(deadline: float) -> float:
    remaining_s = deadline - time.monotonic()
    if remaining_s <= 0:
        raise TimeoutError
    return remaining_s
