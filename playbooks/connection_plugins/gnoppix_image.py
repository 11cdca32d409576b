# SPDX-License-Identifier: GPL-3.0-or-later
"""An Ansible connection into the mounted root of an image that does not run."""

import os
import shlex
import subprocess
from pathlib import Path

from ansible.errors import AnsibleConnectionFailure
from ansible.plugins.connection import ConnectionBase

from gnoppix_build.effects.process import isolated

DOCUMENTATION = """
name: gnoppix_image
author: the gnoppix-build developers
short_description: Run tasks inside the mounted root of an image
description:
  - Every command gets PID, network, UTS, IPC and mount namespaces of its own, a clean environment
    and the root as its whole world. Nothing outlives it.
  - It needs root, util-linux and the gnoppix_build package on the controller.
options:
  root:
    description: Where the image's root is mounted.
    type: path
    required: true
    vars:
      - name: gnoppix_root
extends_documentation_fragment:
  - connection_pipelining
"""

# systemctl must not look for a manager: in a private PID namespace it does not see the chroot.
IMAGE_ENVIRONMENT = {
    "DEBIAN_FRONTEND": "noninteractive",
    "HOME": "/root",
    "LC_ALL": "C.UTF-8",
    "PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
    "PYTHONDONTWRITEBYTECODE": "1",
    "SYSTEMD_OFFLINE": "1",
    "TZ": "UTC",
}
PASSED_ON = ("SOURCE_DATE_EPOCH",)
# What lands there is no part of the image: apt's caches differ from run to run.
FORGOTTEN = ("/run", "/var/cache/apt")


class Connection(ConnectionBase):
    """Commands and files inside the root that `gnoppix_root` names."""

    transport = "gnoppix_image"
    has_pipelining = True

    def _connect(self) -> "Connection":
        if not self._connected:
            root = Path(self.get_option("root"))
            if os.geteuid() != 0:
                raise AnsibleConnectionFailure("entering an image's root needs root")
            if not os.path.lexists(root / "usr/bin/python3"):
                raise AnsibleConnectionFailure(f"{root} holds no system with python3")
            self._connected = True
        return self

    def exec_command(
        self, cmd: str, in_data: bytes | None = None, sudoable: bool = True
    ) -> tuple[int, bytes, bytes]:
        """Run a shell command in the root: exit status, standard output, standard error."""
        super().exec_command(cmd, in_data=in_data, sudoable=sudoable)
        return self._run(("/bin/sh", "-c", cmd), in_data or b"")

    def put_file(self, in_path: str, out_path: str) -> None:
        """Copy a file into the root; its links are resolved inside, so nothing leads out."""
        super().put_file(in_path, out_path)
        command = f"umask 077; cat >{shlex.quote(out_path)}"
        self._expect_success(("/bin/sh", "-c", command), Path(in_path).read_bytes())

    def fetch_file(self, in_path: str, out_path: str) -> None:
        """Copy a file out of the root."""
        super().fetch_file(in_path, out_path)
        Path(out_path).write_bytes(self._expect_success(("cat", "--", in_path), b""))

    def close(self) -> None:
        """Forget the root; no process is left to end."""
        self._connected = False

    def _expect_success(self, argv: tuple[str, ...], given: bytes) -> bytes:
        status, output, errors = self._run(argv, given)
        if status != 0:
            raise AnsibleConnectionFailure(errors.decode(errors="replace").strip())
        return output

    def _run(self, argv: tuple[str, ...], given: bytes) -> tuple[int, bytes, bytes]:
        root = Path(self.get_option("root"))
        forgotten = tuple(folder for folder in FORGOTTEN if (root / folder[1:]).is_dir())
        passed_on = {name: os.environ[name] for name in PASSED_ON if name in os.environ}
        done = subprocess.run(  # noqa: S603 - a list of arguments; the shell is the image's own
            isolated(argv, root=root, tmpfs=forgotten),
            input=given,
            capture_output=True,
            check=False,
            env=IMAGE_ENVIRONMENT | passed_on,
        )
        return done.returncode, done.stdout, done.stderr
