# SPDX-License-Identifier: GPL-3.0-or-later
"""What `build` and `verify` share: the workshop of a profile on this host."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from gnoppix_build.app.assembly import plan_profile
from gnoppix_build.cli import locks, session
from gnoppix_build.cli.progress import ByteProgress
from gnoppix_build.effects.apt_mirrors import host_mirrors
from gnoppix_build.effects.faults import EnvironmentFault
from gnoppix_build.effects.process import require_tool
from gnoppix_build.effects.store import Store, lock_building
from gnoppix_build.effects.workshop import HostWorkshop
from gnoppix_build.lock.model import Lock
from gnoppix_build.plan.steps import Plan
from gnoppix_build.resolve.model import Resolved


def make_plan_of(profile: str, folders: tuple[Path, ...], resolved: Resolved, lock: Lock) -> Plan:
    """Plan a profile with the playbooks and tools there are."""
    reader = session.make_reader(profile, folders)
    return plan_profile(
        resolved, lock, session.data_folder("playbooks"), reader, locks.tool_versions()
    )


def require_host() -> None:
    """Say early what a build needs and this host lacks."""
    if os.geteuid() != 0:
        raise EnvironmentFault(
            "layers are mounted, and mounting needs root", hint="run the same command with sudo"
        )
    for tool in ("mmdebstrap", "mount", "setpriv", "unshare"):
        require_tool(tool)


@contextmanager
def open_workshop(plan: Plan, resolved: Resolved) -> Iterator[HostWorkshop]:
    """Give the workshop of a plan; one process at a time has it."""
    cache = session.cache_folder()
    os.umask(0o022)
    with lock_building(cache / "building"):
        workshop = HostWorkshop(
            plan,
            Store(cache / "store"),
            host_mirrors(resolved.mirror),
            cache / "pool",
            cache / "logs" / resolved.name,
            ByteProgress().tell,
        )
        with workshop:
            yield workshop
