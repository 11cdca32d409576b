# SPDX-License-Identifier: GPL-3.0-or-later
"""What `apparmor` promises of a system."""

from collections.abc import Iterator
from typing import Any

import pytest

PROFILES = "/sys/kernel/security/apparmor/profiles"
LOOKS = 5
ENFORCED = "(enforce)"
OWN = "gnoppix."
NETWORK_FAMILIES = {"AF_INET", "AF_INET6", "AF_PACKET"}


def network_units(policy: Any) -> list[str]:
    """Name the units for whose user their component lets something in or out.

    Root is nobody's own user: of its units those count whose sandbox lets them have a socket that
    reaches the network. One for which its component says why it has no profile does not count.
    """
    declared = (*policy.listeners, *policy.direct, *policy.links, *policy.carried)
    users = {(each.component, each.user) for each in declared}
    return [
        each.unit
        for each in policy.services
        if (each.component, each.user) in users
        and (each.user != "root" or may_reach_the_network(each))
        and not each.unconfined
    ]


def may_reach_the_network(service: Any) -> bool:
    """Tell whether the sandbox of a unit lets it have a socket of IP or of packets."""
    families = service.relaxes.get("RestrictAddressFamilies")
    if not service.has_sandbox or families is None:
        return True
    return bool(NETWORK_FAMILIES & {*families.to.split()})


def loaded_profiles(host: Any) -> dict[str, str]:
    """Read the profiles that the kernel has: name -> mode, in brackets."""
    lines = host.check_output(f"cat {PROFILES}").splitlines()
    return {name: mode for name, _, mode in (line.rpartition(" ") for line in lines)}


def labels_of(host: Any, unit: str) -> list[str]:
    """Read the label of each process of a unit."""
    group = host.check_output("systemctl show --property=ControlGroup --value %s", unit)
    if not group:
        return []
    listing = host.check_output("cat $(find %s -name cgroup.procs)", f"/sys/fs/cgroup{group}")
    # A process that ended meanwhile has no label.
    labels = [host.run(f"cat /proc/{pid}/attr/apparmor/current") for pid in listing.split()]
    return [said.stdout.strip() for said in labels if said.rc == 0]


def lacks_of(host: Any, unit: str, profiles: dict[str, str]) -> Iterator[str]:
    """Say what of a unit is not held to a profile."""
    labels = labels_of(host, unit)
    for label in labels:
        if not label.endswith(ENFORCED):
            yield f"{unit}: a process is `{label}`"
    if labels:
        return
    name = host.check_output("systemctl show --property=AppArmorProfile --value %s", unit)
    if profiles.get(name) != ENFORCED:
        yield f"{unit} is not running, and would run as `{name or 'unconfined'}`"


@pytest.mark.static
@pytest.mark.running
def test_apparmor_is_enabled(host: Any) -> None:
    """The profiles are loaded at every start."""
    assert host.service("apparmor").is_enabled


@pytest.mark.running
def test_kernel_enforces_profiles(host: Any) -> None:
    """The kernel uses AppArmor, and has profiles that it enforces."""
    assert host.check_output("cat /sys/module/apparmor/parameters/enabled") == "Y"
    modules = host.check_output("cat /sys/kernel/security/lsm").split(",")
    assert "apparmor" in modules
    assert not {"selinux", "smack", "tomoyo"} & {*modules}
    assert ENFORCED in loaded_profiles(host).values()


@pytest.mark.running
def test_services_with_a_network_are_confined(host: Any, policy: Any) -> None:
    """Every process of a service that listens or sends is held to an enforced profile.

    One that systemd has only just made is not held yet: what lacks is looked at again.
    """
    profiles = loaded_profiles(host)
    units = network_units(policy)
    for _ in range(LOOKS):
        lacks = {unit: [*lacks_of(host, unit, profiles)] for unit in units}
        units = [unit for unit, found in lacks.items() if found]
        if not units:
            break
        host.run("sleep 3")
    assert [lack for unit in units for lack in lacks[unit]] == []


@pytest.mark.running
def test_our_profiles_deny_nothing_that_is_needed(host: Any) -> None:
    """No profile of ours has refused anything to its service since the start."""
    log = host.run("journalctl --boot --dmesg --output=cat --grep='apparmor=\"DENIED\"'").stdout
    denied = [line for line in log.splitlines() if f'profile="{OWN}' in line]
    assert denied == []
