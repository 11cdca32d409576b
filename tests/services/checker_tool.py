# SPDX-License-Identifier: GPL-3.0-or-later
"""kernel-hardening-checker as Debian packs it, for hosts whose own release does not have it."""

import os
import subprocess
import sys
from pathlib import Path

from gnoppix_build.effects.apt_mirrors import KEYRING, host_mirrors

NAME = "kernel-hardening-checker"
SUITE = "trixie-backports"


def install_checker(folder: Path) -> Path:
    """Unpack the program below the folder; give the folder to put into PATH.

    It is Python without dependencies. The host's own apt is asked for its archive and left alone.
    """
    commands = folder / "bin"
    command = commands / NAME
    if not command.exists():
        modules = _unpack(folder.resolve()) / "usr/lib/python3/dist-packages"
        lines = (
            f"#!{sys.executable}",
            f"import sys; sys.path.insert(0, {str(modules)!r})",
            "from kernel_hardening_checker import main; main()",
        )
        commands.mkdir(exist_ok=True)
        command.write_text("\n".join((*lines, "")))
        command.chmod(0o755)
    return commands


def _unpack(folder: Path) -> Path:
    mirrors = host_mirrors()
    for each in ("lists/partial", "archives/partial", "etc/apt.conf.d", "etc/preferences.d"):
        (folder / each).mkdir(parents=True, exist_ok=True)
    sources = folder / "sources.list"
    sources.write_text(f"deb [signed-by={KEYRING}] {mirrors.main} {SUITE} main\n")
    (folder / "status").touch()
    settings = {
        "APT::Architecture": "amd64",
        "APT::Sandbox::User": "root",
        "Acquire::Languages": "none",
        "Dir::Cache": str(folder),
        "Dir::Etc": str(folder / "etc"),
        "Dir::Etc::SourceList": str(sources),
        "Dir::Etc::SourceParts": "/dev/null",
        "Dir::State": str(folder),
        "Dir::State::Status": str(folder / "status"),
        **mirrors.options,
    }
    configuration = folder / "apt.conf"
    configuration.write_text("".join(f'{name} "{value}";\n' for name, value in settings.items()))
    for command in (
        ("apt-get", "--error-on=any", "--quiet=2", "update"),
        ("apt-get", "--quiet=2", "download", NAME),
        ("sh", "-c", f"dpkg-deb --extract {NAME}_*.deb tree"),
    ):
        environment = {**os.environ, "APT_CONFIG": str(configuration)}
        subprocess.run(command, check=True, cwd=folder, env=environment)
    return folder / "tree"
