# SPDX-License-Identifier: GPL-3.0-or-later
"""What `live-system` promises of a system."""

from collections.abc import Mapping
from typing import Any

import pytest

from gnoppix_build.resolve.membership import groups_of_users

GETTY = "/etc/systemd/system/getty@tty1.service.d/50-gnoppix.conf"


@pytest.mark.static
@pytest.mark.running
def test_live_user_is_there(host: Any) -> None:
    """The live user has the number 1000 and a shell."""
    user = host.user("user")
    assert (user.uid, user.gid, user.home, user.shell) == (1000, 1000, "/home/user", "/bin/bash")


@pytest.mark.static
@pytest.mark.running
def test_live_user_has_no_password(host: Any) -> None:
    """The live user cannot log in with a password."""
    assert host.user("user").password.startswith(("!", "*"))


@pytest.mark.static
@pytest.mark.running
def test_live_user_is_in_the_groups_for_people(host: Any, profile: Any) -> None:
    """The live user may do what a component leaves to the people of the system."""
    assert sorted(host.user("user").groups) == sorted(
        ("user", *groups_of_users(profile.components)["user"])
    )


@pytest.mark.static
@pytest.mark.running
def test_sudo_is_there_only_when_wanted(host: Any, options: Mapping[str, object]) -> None:
    """The live user becomes root only if the profile says so."""
    assert host.package("sudo").is_installed == options["sudo"]
    assert host.file("/etc/sudoers.d/gnoppix-live-system").exists == options["sudo"]


@pytest.mark.static
def test_console_logs_the_live_user_in(host: Any) -> None:
    """The first console is set to log the live user in."""
    assert "--autologin user " in host.file(GETTY).content_string


@pytest.mark.running
def test_live_user_is_on_the_console(host: Any) -> None:
    """The live user is logged in on the first console."""
    owner = host.check_output("ps -o user= -t tty1").split()
    assert "user" in owner, f"on tty1: {', '.join(owner) or 'nobody'}"


@pytest.mark.running
def test_home_belongs_to_the_live_user(host: Any) -> None:
    """The live user's home is closed to others."""
    home = host.file("/home/user")
    assert (home.user, home.group, home.mode) == ("user", "user", 0o700)
