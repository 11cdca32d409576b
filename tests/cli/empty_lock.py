# SPDX-License-Identifier: GPL-3.0-or-later
"""A lock that asks no mirror: what a profile wants, and no package."""

from gnoppix_build.cli import locks
from gnoppix_build.lock.model import Lock, PackageSet
from gnoppix_build.lock.wanted import wanted_packages
from gnoppix_build.resolve.model import Resolved


def make_empty_lock(resolved: Resolved) -> Lock:
    wanted = wanted_packages(resolved)
    return Lock(
        suite=resolved.suite,
        architecture=resolved.architecture,
        epoch=1,
        releases=(),
        base=PackageSet(wanted.base, ()),
        packages=PackageSet(wanted.packages, ()),
        tools=PackageSet(locks.tools_wanted(), ()),
    )
