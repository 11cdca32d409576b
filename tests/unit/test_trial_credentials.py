# SPDX-License-Identifier: GPL-3.0-or-later
"""What a verification brings to a machine in place of its owner's secrets."""

import base64

from gnoppix_build.app.verify import trial_credentials
from gnoppix_build.cli import session
from gnoppix_build.effects.qemu_command import MachinePlaces, MachineSize, OwnLan, machine_command

PLACES = MachinePlaces("iso", "scratch", "recording", "serial", shell_socket=3, monitor_socket=4)
PREFIX = "type=11,value=io.systemd.credential.binary:"


def strings_of(credentials: dict[str, str]) -> dict[str, str]:
    """Give what the firmware of a machine with these credentials brings: name -> text."""
    command = machine_command(PLACES, "bios", MachineSize(), OwnLan(), credentials, kvm=False)
    pairs = (each.removeprefix(PREFIX).split("=", 1) for each in command if PREFIX in each)
    return {name: base64.b64decode(text).decode() for name, text in pairs}


def test_tunnel_gets_a_key_in_a_trial() -> None:
    """As long as wg(8) wants it, and not a shared one that the profile does not ask for."""
    credentials = trial_credentials(session.require_profile("vpn-workstation", ()))
    assert credentials.keys() == {"wireguard.private-key"}
    assert len(base64.b64decode(credentials["wireguard.private-key"], validate=True)) == 32


def test_profile_without_secrets_gets_none() -> None:
    assert trial_credentials(session.require_profile("minimal", ())) == {}


def test_firmware_brings_the_credentials_beside_the_shell() -> None:
    given = {"a.key": "x,y=z\n"}
    brought = strings_of(given)
    assert brought.items() >= given.items()
    assert brought.keys() - given.keys() == strings_of({}).keys()
