# SPDX-License-Identifier: GPL-3.0-or-later
"""Writes docs/packages.md: what is in the packages of a profile, as dpkg-deb tells it."""

import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

from gnoppix_build.effects.process import CLEAN_ENVIRONMENT

PROJECT = Path(__file__).parents[1]
PROFILE = "minimal"
SHOWN = ("", "-tor")
TEXT = PROJECT / "release/packages.md"
PAGE = PROJECT / "docs/packages.md"


def package_page() -> str:
    """Make the packages of a profile and put what dpkg-deb says of them below the text."""
    with tempfile.TemporaryDirectory(prefix="gnoppix-page-") as scratch:
        folder = Path(scratch, "debs")
        command = (sys.executable, "-m", "gnoppix_build", "debs", PROFILE, "-o", str(folder))
        subprocess.run(command, check=True, cwd=PROJECT, capture_output=True)
        return "\n".join((TEXT.read_text(), *_shown(folder)))


def _shown(folder: Path) -> Iterator[str]:
    yield _block("ls debs", "".join(f"{path.name}\n" for path in sorted(folder.iterdir())))
    for suffix in SHOWN:
        (deb,) = folder.glob(f"gnoppix-{PROFILE}{suffix}_*.deb")
        yield f"### {deb.name}\n"
        for option in ("--info", "--contents"):
            said = subprocess.run(
                ("dpkg-deb", option, deb),
                check=True,
                capture_output=True,
                text=True,
                env=CLEAN_ENVIRONMENT,
            )
            yield _block(f"dpkg-deb {option} debs/{deb.name}", said.stdout)


def _block(command: str, said: str) -> str:
    lines = (f"    {line}".rstrip() for line in (f"$ {command}", *said.splitlines()))
    return "\n".join((*lines, ""))


if __name__ == "__main__":
    PAGE.write_text(package_page())
