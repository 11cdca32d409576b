# SPDX-License-Identifier: GPL-3.0-or-later
"""What `remote-access` promises of a system."""

from collections.abc import Mapping
from typing import Any

import pytest


@pytest.mark.static
@pytest.mark.running
def test_ssh_is_enabled(host: Any) -> None:
    """The way in is there after every start, and no socket unit opens another."""
    assert host.service("ssh").is_enabled
    assert host.service("ssh.socket").is_masked


@pytest.mark.running
def test_sshd_is_as_the_profile_says(host: Any, options: Mapping[str, Any]) -> None:
    """The daemon has the profile's port, takes passwords only if it says so, forwards nothing."""
    settings = dict(
        line.split(" ", 1) for line in host.check_output("/usr/sbin/sshd -T").splitlines()
    )
    passwords = "yes" if options["passwords"] else "no"
    assert {key: settings[key] for key in ("port", "passwordauthentication")} == {
        "port": str(options["port"]),
        "passwordauthentication": passwords,
    }
    assert settings["allowtcpforwarding"] == settings["x11forwarding"] == "no"
    assert host.service("ssh").is_running
