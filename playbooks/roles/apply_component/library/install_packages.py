# SPDX-License-Identifier: GPL-3.0-or-later
"""Install the Debian packages that a machine lacks, and start nothing of them."""

import contextlib
import fcntl
import os
import time

from ansible.module_utils import gnoppix_units as units
from ansible.module_utils.basic import AnsibleModule
from ansible.module_utils.gnoppix_files import find_status, write_whole
from ansible.module_utils.gnoppix_record import Record

DOCUMENTATION = """
module: install_packages
author: the gnoppix-build developers
short_description: Install the Debian packages that are missing
description:
  - Services do not start before their configuration is there. Source: invoke-rc.d(8), policy-rc.d.
  - A run that was interrupted is ended first. With nothing to install, nobody is asked for lists.
options:
  names:
    description: The packages.
    type: list
    elements: str
    required: true
"""
POLICY = "/usr/sbin/policy-rc.d"
MARK = b"# gnoppix-build: nothing starts while packages are installed\n"
INSTALLED = "installed"
DPKG_LOCK = "/var/lib/dpkg/lock-frontend"
LONGEST_WAIT_S = 300


def find_missing(names):
    """Name the packages that are not installed."""
    form = "${Package} ${db:Status-Status}\\n"
    said = units.run("dpkg-query", "--show", f"--showformat={form}", "--", *names, good=(0, 1))
    states = dict(line.split(" ") for line in said.splitlines())
    return sorted(name for name in names if states.get(name) != INSTALLED)


def is_own_policy():
    """Tell our policy from one that the machine has of its own."""
    if find_status(POLICY) is None:
        return False
    with open(POLICY, "rb") as stream:
        return MARK in stream.read()


def await_dpkg():
    """Wait for who installs something now: an earlier run that lost its connection, say.

    Unlike apt, dpkg does not wait. Source: dpkg(1), "Files"; apt.conf(5), `DPkg::Lock::Timeout`.
    """
    deadline = time.monotonic() + LONGEST_WAIT_S
    with open(DPKG_LOCK, "ab") as lock:
        while time.monotonic() < deadline:
            with contextlib.suppress(BlockingIOError, PermissionError):
                fcntl.lockf(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                return
            time.sleep(1)
    raise units.Refused(f"another program has held {DPKG_LOCK} for {LONGEST_WAIT_S} s")


def install(names):
    """Install, while our policy keeps units from starting."""
    if find_status(POLICY) is None:
        write_whole(POLICY, b"#!/bin/sh\n" + MARK + b"exit 101\n", 0o755)
    await_dpkg()
    units.run("dpkg", "--configure", "-a")
    lock = ("-o", f"DPkg::Lock::Timeout={LONGEST_WAIT_S}")
    units.run("apt-get", *lock, "-q", "update")
    units.run(
        *("apt-get", *lock, "-q", "-y", "--no-install-recommends"),
        *("-o", "Dpkg::Options::=--force-confdef", "-o", "Dpkg::Options::=--force-confold"),
        *("install", "--", *names),
    )


def main():
    """Install what is missing and say what that was."""
    module = AnsibleModule(
        argument_spec={"names": {"type": "list", "elements": "str", "required": True}},
        supports_check_mode=True,
    )
    names = module.params["names"]
    try:
        missing = find_missing(names) if names else []
        if not module.check_mode:
            if missing:
                record = Record.load()
                record.packages = sorted({*record.packages, *missing})
                record.save()
                install(missing)
            if is_own_policy():
                os.unlink(POLICY)
    except (OSError, ValueError, units.Refused) as error:
        module.fail_json(msg=str(error))
    after = "".join(f"{name}\n" for name in missing)
    diff = {"before_header": "packages", "after_header": "packages", "before": "", "after": after}
    module.exit_json(changed=bool(missing), diff=diff if missing and module._diff else [])


if __name__ == "__main__":
    main()
