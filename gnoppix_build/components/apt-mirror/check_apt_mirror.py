# SPDX-License-Identifier: GPL-3.0-or-later
"""What `apt-mirror` promises of a system."""

from typing import Any

import pytest


@pytest.mark.running
def test_apt_fetches_as_its_own_user(host: Any) -> None:
    """What fetches packages is the user that the policy lets out."""
    said = host.check_output("apt-config dump --format %s APT::Sandbox::User", "%v%n")
    assert said.strip() in {"", "_apt"}
