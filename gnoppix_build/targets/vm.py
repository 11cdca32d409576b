# SPDX-License-Identifier: GPL-3.0-or-later
"""The running tiers' target: a real testinfra host over the root shell of a guest."""

from collections.abc import Callable
from dataclasses import dataclass
from itertools import islice

from testinfra.backend.base import BaseBackend, CommandResult
from testinfra.host import Host

from gnoppix_build.targets.shell import Recorder, Shell

# How the hardware addresses in QEMU's network begin: for IPv4 and for IPv6. Source: libslirp.
OWN_LAN = (b"\x52\x55", b"\x52\x56")
# As the static tier's `find_files`: hidden files too, links not followed below wild parts.
FIND_FILES = """\
import glob, os, sys
parts = sys.argv[1].split("/")
fixed = next((n for n, part in enumerate(parts) if set(part) & set("*?[")), len(parts))
for path in sorted(glob.glob(sys.argv[1], recursive=True, include_hidden=True)):
    found = path.rstrip("/").split("/")
    folders = ("/".join(found[:n]) for n in range(fixed + 1, len(found)))
    if not any(os.path.islink(folder) for folder in folders):
        print("/".join(found), end="\\0")
"""


class GuestBackend(BaseBackend):  # type: ignore[misc]
    """testinfra's commands, sent to a root shell."""

    NAME = "guest"

    def __init__(self, shell: Shell, name: str = "guest") -> None:
        super().__init__(name)
        self._shell = shell
        self._encoding = "UTF-8"

    def run(self, command: str, *args: str, **_: object) -> CommandResult:
        """Run a command whose `%s` are quoted arguments."""
        line = self.get_command(command, *args)
        outcome = self._shell.run(line)
        return self.result(outcome.status, line.encode(), outcome.stdout, outcome.stderr)


class GuestHost(Host):  # type: ignore[misc]
    """A testinfra host that has the static tier's `find_files` too."""

    def __init__(self, shell: Shell, name: str = "guest") -> None:
        backend = GuestBackend(shell, name)
        super().__init__(backend)
        backend.set_host(self)

    def find_files(self, pattern: str) -> list[str]:
        """Give the paths that match a glob, sorted; `**` is any number of folders."""
        listing: str = self.check_output("python3 -c %s %s", FIND_FILES, pattern)
        return [path for path in listing.split("\0") if path]


@dataclass(frozen=True)
class GuestWire:
    """The recording of a guest's network card."""

    recorder: Recorder
    shell: Shell

    def sent_during(self, action: Callable[[], object]) -> list[bytes]:
        """Give what the card sent: QEMU's own network has addresses that nobody else has."""
        return [frame for frame in self.frames_during(action) if frame[6:8] not in OWN_LAN]

    def frames_during(self, action: Callable[[], object]) -> list[bytes]:
        """Give what the card sent and got while the action ran, and for a second after it."""
        already_recorded = sum(1 for _ in self.recorder.frames())
        action()
        self.shell.run("sleep 1")
        return list(islice(self.recorder.frames(), already_recorded, None))
