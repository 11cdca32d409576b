# SPDX-License-Identifier: GPL-3.0-or-later
"""What a profile brings to a machine, as values that two machines can be compared by."""

import os
import re
import stat
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from machine_container import Machine

from gnoppix_build.effects.results import sha256_of

# What changes by itself, and what packages of the suite have for themselves: chrony takes the
# folder of disabled profiles away, which is not its own.
OWN_AFFAIRS = (
    *("etc/.pwd.lock", "etc/group", "etc/gshadow", "etc/passwd", "etc/shadow", "etc/subgid"),
    *("etc/subuid", "etc/ld.so.cache", "etc/machine-id", "etc/apt/sources.list.d/"),
    *("usr/lib/sysusers.d/gnoppix-", "usr/lib/systemd/system-preset/50-gnoppix-"),
    *("usr/share/doc/gnoppix-", "usr/share/lintian/overrides/gnoppix-", "usr/lib/python3/"),
    *("etc/resolv.conf.before-gnoppix", "etc/runit/", "etc/rc"),
    "etc/apparmor.d/disable",
)


@dataclass(frozen=True)
class State:
    """Path -> what is there; user -> home and shell; unit -> whether enabled; unit -> how it is."""

    files: Mapping[str, tuple[object, ...]]
    accounts: Mapping[str, tuple[str, ...]]
    unit_files: Mapping[str, str]
    units: Mapping[str, tuple[str, ...]]


def look_at(machine: Machine, root: Path) -> State:
    """Look at a booted machine, and from outside at its /etc and /usr."""
    wait_for_jobs(machine)
    passwd = [line.split(":") for line in (root / "etc/passwd").read_text().splitlines()]
    owners = {int(fields[2]): fields[0] for fields in passwd}
    files = machine.run("systemctl", "list-unit-files", "--no-legend", "--no-pager").stdout
    units = machine.run("systemctl", "list-units", "--no-legend", "--no-pager", "--plain").stdout
    return State(
        files={str(path.relative_to(root)): describe(path, owners) for path in files_of(root)},
        accounts={fields[0]: tuple(fields[5:]) for fields in passwd},
        unit_files={line.split()[0]: line.split()[1] for line in files.splitlines()},
        units=states_of(units),
    )


def states_of(listed: str) -> dict[str, tuple[str, ...]]:
    """Give what a list of units says of each; a timer may be at work just now, or not."""
    states = {fields[0]: tuple(fields[1:4]) for fields in map(str.split, listed.splitlines())}
    timers = {unit for unit in states if unit.endswith(".timer")}
    timed = {f"{unit.removesuffix('.timer')}.service" for unit in timers}
    return {
        unit: state[:2] if unit in timers else state
        for unit, state in states.items()
        if unit not in timed
    }


def wait_for_jobs(machine: Machine, timeout_s: float = 120.0) -> None:
    """Wait until systemd has nothing left to do."""
    deadline = time.monotonic() + timeout_s
    while (jobs := machine.run("systemctl", "list-jobs", "--no-legend").stdout.strip()) != "":
        assert time.monotonic() < deadline, jobs
        time.sleep(1)


def files_of(root: Path) -> Iterator[Path]:
    """Give what lies in /etc and /usr; bytecode comes with whoever runs Python."""
    for top in ("etc", "usr"):
        for folder, folders, files in os.walk(root / top):
            for path in (Path(folder, name) for name in (*folders, *files)):
                place = path.relative_to(root)
                if "__pycache__" not in place.parts and not str(place).startswith(OWN_AFFAIRS):
                    yield path


def describe(path: Path, owners: Mapping[int, str]) -> tuple[object, ...]:
    """Say what a path is: kind and mode, owner, and the hash of its bytes or where it leads."""
    status = path.lstat()
    owner = owners.get(status.st_uid, str(status.st_uid))
    if path.is_symlink():
        # /lib is a link to /usr/lib, and who enables a unit may write either.
        return ("link", re.sub("^/usr/lib/", "/lib/", str(path.readlink())))
    digest = sha256_of(path) if stat.S_ISREG(status.st_mode) else ""
    return (oct(status.st_mode), owner, digest)


def difference(one: Mapping[str, object], other: Mapping[str, object]) -> dict[str, object]:
    """Give what is not the same in both: key -> what each has."""
    keys = {*one, *other}
    return {key: (one.get(key), other.get(key)) for key in keys if one.get(key) != other.get(key)}
