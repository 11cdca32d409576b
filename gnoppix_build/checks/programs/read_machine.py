# SPDX-License-Identifier: GPL-3.0-or-later
"""Say what files and units of a machine are: `read_machine.py {"files": [...], "units": [...]}`.

Prints JSON: `files` path -> mode, owner, group and sha256 (none for what is no regular file) or
null, `units` unit -> `enabled`, its state at start, and its properties now, `targets` those
reached, `record` what provisioning noted, if it did.
"""

import grp
import hashlib
import json
import pwd
import stat
import subprocess
import sys
from pathlib import Path

RECORD = Path("/var/lib/gnoppix/machine.json")
PROPERTIES = (
    *("ActiveState", "BusName", "ConditionResult", "ConditionTimestampMonotonic"),
    *("ExecMainStartTimestampMonotonic", "RemainAfterExit", "RequiredBy", "TriggeredBy"),
    *("Type", "WantedBy"),
)


def read_file(path: Path) -> "dict[str, str] | None":
    """Describe a path without following a link."""
    try:
        status = path.lstat()
    except (FileNotFoundError, NotADirectoryError):
        return None
    is_file = stat.S_ISREG(status.st_mode)
    return {
        "mode": f"{stat.S_IMODE(status.st_mode):04o}",
        "owner": name_of(pwd.getpwuid, status.st_uid),
        "group": name_of(grp.getgrgid, status.st_gid),
        "sha256": digest_of(path) if is_file else "",
    }


def digest_of(path: Path) -> str:
    """Give the sha256 of a file, which may be larger than the memory."""
    with path.open("rb") as content:
        return hashlib.file_digest(content, "sha256").hexdigest()


def name_of(look_up: object, number: int) -> str:
    """Name a user or group, or give its number."""
    try:
        return str(look_up(number)[0])  # type: ignore[operator]
    except KeyError:
        return str(number)


def read_unit(unit: str) -> "dict[str, str]":
    """Give the states of a unit; a template has none now. Source: systemctl(1)."""
    state = {"enabled": ask("is-enabled", "--", unit) or "not-found"}
    if "@." not in unit:
        lines = ask("show", f"--property={','.join(PROPERTIES)}", "--", unit).splitlines()
        pairs = (line.partition("=") for line in lines)
        state.update((key, value) for key, _, value in pairs)
    return state


def read_targets() -> "list[str]":
    """Name the targets that the machine has reached."""
    form = ("--type=target", "--state=active", "--plain", "--no-legend", "--full")
    return [line.split()[0] for line in ask("list-units", *form).splitlines()]


def ask(*words: str) -> str:
    """Give what systemctl prints, whatever its status."""
    done = subprocess.run(("/usr/bin/systemctl", *words), capture_output=True, check=False)  # noqa: S603
    return done.stdout.decode().strip()


def read_record() -> object:
    """Give the record without what files held before; none if there is none."""
    if not RECORD.exists():
        return None
    record = json.loads(RECORD.read_text())
    files = {path: entry["component"] for path, entry in record["files"].items()}
    units = {unit: entry["component"] for unit, entry in record["units"].items()}
    return {"files": files, "units": units, "unsettled": record["unsettled"]}


def main() -> None:
    """Read the question, print the answer."""
    asked = json.loads(sys.argv[1])
    answer = {
        "files": {path: read_file(Path(path)) for path in asked["files"]},
        "units": {unit: read_unit(unit) for unit in asked["units"]},
        "targets": read_targets(),
        "record": read_record(),
    }
    json.dump(answer, sys.stdout)


main()
