# SPDX-License-Identifier: GPL-3.0-or-later
"""A program: provision a stock machine of trixie step by step, and write down what was said.

`./run transcript` runs it; the result is docs/provision-transcript.md.
"""

import sys
import tempfile
from pathlib import Path

PROJECT = Path(__file__).parents[2]
sys.path[:0] = [str(PROJECT / "tests" / name) for name in ("image", "lan", "machine", "services")]

from machine_lab import ARCHIVE_PORT, HOST, MachineLab, running_lab  # noqa: E402

TRANSCRIPT = PROJECT / "docs" / "provision-transcript.md"
HEAD = """\
# A machine is provisioned

Written by `./run transcript`. A stock trixie machine, without a firewall, is reached by ssh; its
packages come from an archive beside it. What goes to standard error is left out.

    $ cat box.yaml
"""
PROFILE = f"""\
version: 1
name: box
components:
  apt-mirror: {{ports: [{ARCHIVE_PORT}]}}
  firewall: {{}}
  own-network: {{dhcp: off}}
  remote-access: {{}}
  telemetry-off: {{}}
"""
LONGEST = 160


def indented(text: str) -> str:
    return "".join(
        f"    {line[:LONGEST].rstrip()}\n" if line else "\n" for line in text.splitlines()
    )


def step(lab: MachineLab, title: str, shown: str, *arguments: str | Path) -> str:
    """Run the command, and give what is to be written down of it."""
    said = lab.run(*arguments)
    output = said.output.replace(str(lab.work), ".")
    status = f"    (exit code {said.status})\n"
    return f"\n## {title}\n\n    $ {shown}\n{indented(output)}{status}"


def write_down(lab: MachineLab) -> str:
    """Take all steps."""
    profile = lab.work / "box.yaml"
    profile.write_text(PROFILE)
    where: tuple[str | Path, ...] = (profile, "--host", HOST, *lab.ssh_options)
    shown = f"box.yaml --host {HOST}"
    steps = [
        step(
            lab,
            "What would change",
            f"build-image provision {shown} --check --diff",
            *("provision", *where, "--check", "--diff"),
        ),
        step(lab, "The change", f"build-image provision {shown}", "provision", *where),
        step(lab, "A second run", f"build-image provision {shown}", "provision", *where),
        step(lab, "What the machine is now", f"build-image verify {shown}", "verify", *where),
    ]
    profile.write_text(PROFILE.replace("  telemetry-off: {}\n", ""))
    steps += [
        step(
            lab,
            "A component leaves the profile",
            f"sed -i /telemetry-off/d box.yaml; build-image provision {shown} --diff",
            *("provision", *where, "--diff"),
        ),
        step(lab, "And the machine again", f"build-image verify {shown}", "verify", *where),
    ]
    return HEAD + indented(PROFILE) + "".join(steps)


def main() -> None:
    """Write the file."""
    with (
        tempfile.TemporaryDirectory(prefix="gnoppix-transcript-") as scratch,
        running_lab(Path(scratch), ("nftables",)) as lab,
    ):
        TRANSCRIPT.write_text(write_down(lab))


if __name__ == "__main__":
    main()
