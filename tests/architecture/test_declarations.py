# SPDX-License-Identifier: GPL-3.0-or-later
"""What a component declares is where rules can see it."""

from pathlib import Path

import yaml

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


def test_every_service_that_a_component_brings_is_declared() -> None:
    """Only what is declared has a sandbox, and is held against its exposure."""
    undeclared = [
        f"{manifest.parent.name}: {unit.name}"
        for manifest in sorted(COMPONENTS.glob("*/component.yaml"))
        for unit in sorted(manifest.parent.glob("files/**/system/*.service*"))
        if unit.is_file() and unit.name.removesuffix(".j2") not in declared_services(manifest)
    ]
    assert undeclared == []


def declared_services(manifest: Path) -> set[str]:
    services = yaml.safe_load(manifest.read_text()).get("services", ())
    return {service["unit"] for service in services}
