# SPDX-License-Identifier: GPL-3.0-or-later
"""What `own-network` promises of a system."""

from typing import Any

import pytest

DROP_IN = "/etc/systemd/system/gnoppix-egress@.service.d/40-gnoppix-own-network.conf"


@pytest.mark.static
def test_links_are_kept(host: Any) -> None:
    """A link stays up while a chain is loaded for it."""
    assert "Environment=GNOPPIX_LINK=kept" in host.file(DROP_IN).content_string.splitlines()


@pytest.mark.running
def test_an_address_is_there(host: Any) -> None:
    """The machine has an address beyond itself."""
    assert host.check_output("ip -oneline address show scope global up") != ""
