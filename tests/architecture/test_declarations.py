# SPDX-License-Identifier: GPL-3.0-or-later
"""What a component declares is where rules can see it."""

from pathlib import Path

COMPONENTS = Path(__file__).parents[2] / "gnoppix_build" / "components"
# Written from `sysctl:` and `blocked-modules:` of a manifest, by which conflicts are judged.
DECLARED = ("sysctl.d", "modprobe.d", "sysusers.d")


def test_no_component_hides_kernel_settings_in_a_file() -> None:
    hidden = [
        str(path.relative_to(COMPONENTS))
        for folder in DECLARED
        for path in sorted(COMPONENTS.glob(f"*/files/**/{folder}/*"))
    ]
    assert hidden == []
