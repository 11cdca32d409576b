# SPDX-License-Identifier: GPL-3.0-or-later
"""Machines that run already: a root shell on this one, or on another by ssh."""

import os
import shlex
import subprocess
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

from gnoppix_build.effects.faults import EnvironmentFault, Fault
from gnoppix_build.effects.process import CLEAN_ENVIRONMENT, require_tool
from gnoppix_build.targets.remote import MachineAddress
from gnoppix_build.targets.shell import CommandOutcome

_SESSION = "SSH_CONNECTION"
# Source: ssh(1), "EXIT STATUS".
_SSH_ITSELF = 255


class UnreachableFault(Fault):
    """A machine cannot be reached."""

    exit_code = 6
    code = "unreachable"


class LocalShell:
    """A root shell of this machine."""

    def run(self, command: str) -> CommandOutcome:
        """Run one shell command to its end."""
        return _outcome(("/bin/sh", "-c", command), {})


class SshShell:
    """A root shell of another machine; one connection serves all commands."""

    def __init__(self, address: MachineAddress, scratch: Path, configuration: Path | None) -> None:
        own = ("-F", str(configuration)) if configuration else ()
        self._name = address.name
        self._command = (
            *("ssh", *own, "-o", "BatchMode=yes", "-o", "ConnectTimeout=10", "-T"),
            *("-o", "ControlMaster=auto", "-o", "ControlPersist=60"),
            *("-o", f"ControlPath={scratch}/%C", *address.ssh_arguments()),
        )

    def run(self, command: str) -> CommandOutcome:
        """Run one shell command as root to its end."""
        as_root = 'if [ "$(id -u)" = 0 ]; then exec "$@"; else exec sudo -n -- "$@"; fi'
        return self.run_as_user(shlex.join(("/bin/sh", "-c", as_root, "-", "sh", "-c", command)))

    def run_as_user(self, command: str) -> CommandOutcome:
        """Run one shell command as who came in; raises UnreachableFault."""
        outcome = _outcome((*self._command, "--", command), _agent())
        if outcome.status == _SSH_ITSELF:
            said = outcome.stderr.decode(errors="replace").strip()
            raise UnreachableFault(
                f"`{self._name}` cannot be reached: {said}",
                hint="it has to be known to ssh, and take a key without asking",
            )
        return outcome

    def close(self) -> None:
        """End the connection."""
        _outcome((*self._command[:-1], "-O", "exit", self._command[-1]), {})


@contextmanager
def opened_shell(
    address: MachineAddress, configuration: Path | None
) -> Iterator[LocalShell | SshShell]:
    """Give a root shell of a machine for the block."""
    if address.is_local:
        if os.geteuid() != 0:
            raise EnvironmentFault(
                "changing and checking this machine needs root", hint="run it with sudo"
            )
        yield LocalShell()
        return
    require_tool("ssh")
    with tempfile.TemporaryDirectory(prefix="gnoppix-ssh-") as scratch:
        shell = SshShell(address, Path(scratch), configuration)
        try:
            yield shell
        finally:
            shell.close()


def read_visit(shell: LocalShell | SshShell) -> tuple[bool, str]:
    """Tell whether who asks is root there, and give the connection that they came by.

    The connection is `CLIENT PORT SERVER PORT`, or nothing. On this machine it is that of the
    first process above this one that came by ssh: sudo(8) takes the variable away. Source: ssh(1),
    "ENVIRONMENT".
    """
    if isinstance(shell, LocalShell):
        return True, _session_above()
    said = shell.run_as_user(f'printf "%s %s" "$(id -u)" "${_SESSION}"').stdout.decode()
    uid, _, connection = said.partition(" ")
    return uid == "0", connection


def _session_above() -> str:
    process = os.getpid()
    while process > 1:
        try:
            variables = Path(f"/proc/{process}/environ").read_bytes().split(b"\0")
            status = Path(f"/proc/{process}/status").read_text()
        except OSError:
            break
        for variable in variables:
            if variable.startswith(f"{_SESSION}=".encode()):
                return variable.partition(b"=")[2].decode()
        process = int(status.partition("PPid:")[2].split()[0])
    return ""


def agent_socket() -> str | None:
    """Give the socket of the caller's ssh-agent."""
    return os.environ.get("SSH_AUTH_SOCK")


def _agent() -> dict[str, str]:
    agent = agent_socket()
    return {"SSH_AUTH_SOCK": agent} if agent else {}


def _outcome(argv: Sequence[str], further: Mapping[str, str]) -> CommandOutcome:
    done = subprocess.run(
        argv,
        env={**CLEAN_ENVIRONMENT, **further},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        check=False,
    )
    return CommandOutcome(done.returncode, done.stdout, done.stderr)
