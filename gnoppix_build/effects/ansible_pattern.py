# SPDX-License-Identifier: GPL-3.0-or-later
"""A pattern of hosts, read by Ansible itself."""

import json
import shutil
import subprocess
import tempfile
from collections.abc import Sequence
from pathlib import Path

from gnoppix_build.effects.ansible import clean_environment
from gnoppix_build.effects.faults import EnvironmentFault

PROGRAM = "ansible-inventory"


def select_hosts(names: Sequence[str], pattern: str) -> frozenset[str]:
    """Give those of `names` that are of a pattern; raises EnvironmentFault without ansible-core.

    Source: "Patterns: targeting hosts and groups" of Ansible's guide.
    """
    with tempfile.TemporaryDirectory(prefix="gnoppix-pattern-") as name:
        scratch = Path(name)
        environment = clean_environment(scratch)
        program = shutil.which(PROGRAM, path=environment["PATH"])
        if program is None:
            raise EnvironmentFault(
                f"`{PROGRAM}` is not installed on this host", hint="apt-get install ansible-core"
            )
        hosts = scratch / "hosts.yml"
        hosts.write_text(json.dumps({"all": {"hosts": dict.fromkeys(names)}}))
        done = subprocess.run(
            (program, "--inventory", hosts, "--list", f"--limit={pattern}"),
            env=environment,
            cwd=scratch,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            check=False,
        )
    if done.returncode != 0:
        said = done.stderr.decode(errors="replace").strip()
        raise EnvironmentFault(f"Ansible cannot read the pattern `{pattern}`", hint=said)
    ungrouped = json.loads(done.stdout).get("ungrouped", {})
    return frozenset(ungrouped.get("hosts", ()))
