# SPDX-License-Identifier: GPL-3.0-or-later
"""Programs beside the tests: each loads a ruleset in namespaces of its own, and tries it."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any, Final

import pytest

NAMESPACES: Final = (
    *("unshare", "--net", "--mount", "--pid", "--fork", "--kill-child", "--mount-proc"),
)
PASSWD: Final = """\
root:x:0:0:root:/root:/bin/sh
debian-tor:x:110:110::/var/lib/tor:/bin/false
router:x:111:111::/:/usr/sbin/nologin
systemd-network:x:998:998::/:/usr/sbin/nologin
user:x:1000:1000::/home/user:/bin/bash
"""
TIMEOUT_S: Final = 90.0
needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="namespaces need root")


def run_lab(program: str, ruleset: str, folder: Path, passwd: str = PASSWD) -> Any:
    """Run a program that takes RULESET PASSWD, two files, and give the JSON that it prints."""
    files = {"firewall.nft": ruleset, "passwd": passwd}
    for name, text in files.items():
        (folder / name).write_text(text)
    lab = Path(__file__).with_name(program)
    ran = subprocess.run(
        (*NAMESPACES, sys.executable, lab, *(folder / name for name in files)),
        capture_output=True,
        text=True,
        check=False,
        timeout=TIMEOUT_S,
    )
    assert ran.returncode == 0, ran.stderr
    return json.loads(ran.stdout)
