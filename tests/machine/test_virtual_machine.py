# SPDX-License-Identifier: GPL-3.0-or-later
"""What a container cannot show of a provisioned machine: its kernel, its starts, its devices.

One machine, from its stock state on, test by test.
"""

import re
import secrets
from collections.abc import Iterator

import pytest
from bench import wants_all_profiles
from kept_payloads import keep_payloads, render_with_payloads
from machine_lab import ARCHIVE_PORT, MACHINE, MachineLab, expect_success, failures
from virtual_machine import running_virtual_machine

pytestmark = [
    pytest.mark.root,
    pytest.mark.timeout(3600),
    pytest.mark.skipif(
        not wants_all_profiles(), reason="boots a virtual machine for minutes: ./run test-all"
    ),
]

STAYS = f"""\
version: 1
name: box
components:
  apt-mirror: {{ports: [{ARCHIVE_PORT}]}}
  debian-base: {{}}
  firewall: {{}}
  own-network: {{dhcp: off}}
  privacy-status: {{}}
  remote-access: {{sources: [10.77.0.0/24]}}
  tor: {{mode: socks}}
"""
GOES = """\
  apparmor: {}
  ask: {}
  hardening: {level: hardened}
  llama-cpp: {}
  memory-hygiene: {}
  tiny-echo: {}
"""
PACKAGES = (
    *("apparmor", "libpam-systemd", "login", "nftables", "python3-apt", "systemd-zram-generator"),
    "tor",
)
# Of `hardening` and of `memory-hygiene`.
ARGUMENTS = {"init_on_free=1", "lockdown=confidentiality", "slab_nomerge", "systemd.swap=no"}
BLOCKED = "etc/modprobe.d/60-gnoppix-hardening.conf"
ZRAM = "/etc/systemd/zram-generator.conf"
MENU = "/boot/grub/grub.cfg"
NOTHING = f"{MACHINE}: nothing to change\n"


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[MachineLab]:
    work = tmp_path_factory.mktemp("machine")
    keep_payloads(work)
    with running_virtual_machine(work, PACKAGES) as lab:
        yield lab


def arguments_of_the_kernel(lab: MachineLab) -> set[str]:
    return set(lab.machine.run("cat", "/proc/cmdline").split())


def arguments_of_the_menu(lab: MachineLab) -> set[str]:
    """Give what every kernel of the boot menu, but those for a rescue, would get."""
    lines = re.findall(r"^\s*linux\s+/\S+ (.*)$", lab.machine.run("cat", MENU), re.MULTILINE)
    given = [set(line.split()) for line in lines]
    assert given
    return set.intersection(*(each for each in given if "single" not in each))


def initrd_has(lab: MachineLab, path: str) -> bool:
    release = lab.machine.run("uname", "-r").strip()
    listed = lab.machine.run("lsinitramfs", f"/boot/initrd.img-{release}").splitlines()
    assert "init" in listed
    return path in listed


def swaps(lab: MachineLab) -> list[str]:
    return [line.split()[0] for line in lab.machine.run("cat", "/proc/swaps").splitlines()[1:]]


def test_machine_gets_what_its_next_start_needs(lab: MachineLab) -> None:
    profile = lab.write_profile(STAYS + GOES)
    render_with_payloads(lab, profile)
    expect_success(lab.provision(profile))
    assert swaps(lab) == ["/dev/zram0"]
    assert lab.exists(ZRAM)
    assert arguments_of_the_menu(lab) >= ARGUMENTS
    assert arguments_of_the_kernel(lab).isdisjoint(ARGUMENTS)
    assert initrd_has(lab, BLOCKED)
    assert expect_success(lab.provision(profile)) == NOTHING


def test_machine_is_after_its_start_as_the_profile_says(lab: MachineLab) -> None:
    lab.machine.restart()
    assert arguments_of_the_kernel(lab) >= ARGUMENTS
    assert swaps(lab) == ["/dev/zram0"]
    assert failures(lab, lab.work / "box.yaml") == {}
    assert expect_success(lab.provision(lab.work / "box.yaml")) == NOTHING


def test_model_answers_out_of_its_mounted_root(lab: MachineLab) -> None:
    word = secrets.token_hex(4)
    assert lab.machine.run("ask", "--wait", "100", f"echo {word}", stdin=b"").strip() == word
    show = ("systemctl", "show", "--property=MainPID", "--value", "llama-cpp@tiny-echo")
    pid = lab.machine.run(*show)
    root = lab.machine.run("findmnt", "--task", pid.strip(), "-no", "FSTYPE,OPTIONS", "/").split()
    assert root[0] == "squashfs"
    assert "ro" in root[1].split(",")


def test_everything_goes_with_its_component(lab: MachineLab) -> None:
    profile = lab.write_profile(STAYS)
    expect_success(lab.provision(profile))
    # The package stays, and what it came with makes a device.
    assert not lab.exists(ZRAM)
    assert arguments_of_the_menu(lab).isdisjoint(ARGUMENTS)
    assert not initrd_has(lab, BLOCKED)
    lab.machine.restart()
    assert arguments_of_the_kernel(lab).isdisjoint(ARGUMENTS)
    assert failures(lab, profile) == {}
    assert expect_success(lab.provision(profile)) == NOTHING
