# SPDX-License-Identifier: GPL-3.0-or-later
"""What `console-keyboard` promises of a system."""

from typing import Any

import pytest


@pytest.mark.static
@pytest.mark.running
def test_layout_is_the_profiles(host: Any, profile: Any) -> None:
    """The console's keyboard has the layout of the profile."""
    lines = host.file("/etc/default/keyboard").content_string.splitlines()
    assert f"XKBLAYOUT={profile.keyboard.partition(':')[0]}" in lines
