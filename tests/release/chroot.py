# SPDX-License-Identifier: GPL-3.0-or-later
"""A Debian tree to install things in; what changes lies beside it, and the tree stays as it is."""

import subprocess
from dataclasses import dataclass
from pathlib import Path

from gnoppix_build.effects.process import CLEAN_ENVIRONMENT

# Arguments: tree, folder for what changes, folder that appears as /mnt, command. The mounts are
# this process's alone; the network is the host's, and so is the way to names.
ENTER = """
set -e
mkdir -p "$2/upper" "$2/scratch" "$2/tree"
mount -t overlay -o "lowerdir=$1,upperdir=$2/upper,workdir=$2/scratch" overlay "$2/tree"
tree=$2/tree
mount --bind "$3" "$tree/mnt"
mount -t proc proc "$tree/proc"
mount --rbind /dev "$tree/dev"
mount -t tmpfs -o mode=1777 tmpfs "$tree/tmp"
cp -L /etc/resolv.conf "$tree/etc/resolv.conf"
shift 3
exec chroot "$tree" "$@"
"""


@dataclass(frozen=True)
class Chroot:
    """A root that keeps what was done in it; `work` is its /mnt."""

    tree: Path
    changes: Path
    work: Path

    def run(self, *argv: str) -> str:
        """Run a command as root to its good end, and give what it printed."""
        space = ("unshare", "--mount", "--pid", "--fork", "--kill-child", "--mount-proc")
        done = subprocess.run(
            (*space, "sh", "-c", ENTER, "sh", self.tree, self.changes, self.work, *argv),
            check=False,
            capture_output=True,
            text=True,
            env={**CLEAN_ENVIRONMENT, "DEBIAN_FRONTEND": "noninteractive", "HOME": "/root"},
        )
        assert done.returncode == 0, f"{argv}: {done.stdout}{done.stderr}"
        return done.stdout
