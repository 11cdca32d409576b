# SPDX-License-Identifier: GPL-3.0-or-later
"""A program: find words in whatever the system has written since a moment.

Standard input: the words in hexadecimal, so that what hands them over is not found itself.
Argument: a file that was touched at the moment. It looks at every file with a younger date on every
file system that can be written, and at what memory is swapped to.
Prints the paths, one a line.
"""

import os
import re
import stat
import sys
from collections.abc import Iterator
from pathlib import Path

BLOCK_BYTES = 1 << 20
LONGEST_WORD = 64
# Made by the kernel at each look, or for reading only.
NOT_FILES = frozenset(
    (
        *("autofs", "binfmt_misc", "bpf", "cgroup", "cgroup2", "configfs", "debugfs", "devpts"),
        *("efivarfs", "fusectl", "iso9660", "mqueue", "proc", "pstore", "securityfs", "squashfs"),
        *("sysfs", "tracefs"),
    )
)


def writable_mounts() -> tuple[list[str], set[str]]:
    """Give the places of file systems that files are written to, and those of all."""
    rows = [line.split() for line in Path("/proc/self/mounts").read_text().splitlines()]
    wanted = [row[1] for row in rows if row[2] not in NOT_FILES and not is_seen_elsewhere(row)]
    return wanted, {row[1] for row in rows}


def is_seen_elsewhere(row: list[str]) -> bool:
    """Tell an overlay whose written files lie in a folder of another file system that is there."""
    uppers = [each.removeprefix("upperdir=") for each in row[3].split(",") if "upperdir=" in each]
    return row[2] == "overlay" and any(Path(upper).is_dir() for upper in uppers)


def files_since(moment: float) -> Iterator[Path]:
    """Give the ordinary files that were changed since; each file system is looked at once."""
    wanted, mounts = writable_mounts()
    for mount in wanted:
        for place, folders, names in os.walk(mount):
            folders[:] = [name for name in folders if str(Path(place, name)) not in mounts]
            for path in (Path(place, name) for name in names):
                try:
                    status = path.lstat()
                except OSError:
                    continue
                changed = max(status.st_mtime, status.st_ctime)
                if stat.S_ISREG(status.st_mode) and changed >= moment:
                    yield path


def swap_devices() -> Iterator[Path]:
    """Give the devices and files that hold memory now."""
    for line in Path("/proc/swaps").read_text().splitlines()[1:]:
        device, _, _, used, *_ = line.split()
        if int(used):
            yield Path(device)


def holds(path: Path, words: "re.Pattern[bytes]") -> bool:
    """Tell whether a file holds one of the words, also where two blocks meet."""
    rest = b""
    try:
        with path.open("rb", buffering=0) as content:
            while block := content.read(BLOCK_BYTES):
                if words.search(rest + block):
                    return True
                rest = block[-LONGEST_WORD:]
    except OSError:
        return False
    return False


def main() -> None:
    """Look everywhere."""
    words = re.compile(
        b"|".join(re.escape(bytes.fromhex(each)) for each in sys.stdin.read().split())
    )
    # The clock of files is coarser than the one of programs.
    moment = Path(sys.argv[1]).stat().st_mtime - 1
    found = {path for path in (*files_since(moment), *swap_devices()) if holds(path, words)}
    sys.stdout.write("".join(f"{path}\n" for path in sorted(found)))


if __name__ == "__main__":
    main()
