# SPDX-License-Identifier: GPL-3.0-or-later
"""What `identity` promises of a system."""

import re
from collections.abc import Mapping
from typing import Any

import pytest


@pytest.mark.static
@pytest.mark.running
def test_hostname_is_the_common_one(host: Any, options: Mapping[str, object]) -> None:
    """The machine has the name that all machines of this image have."""
    assert host.file("/etc/hostname").content_string == f"{options['hostname']}\n"


@pytest.mark.running
def test_kernel_has_the_common_hostname(host: Any, options: Mapping[str, object]) -> None:
    """The running kernel has that name too."""
    assert host.check_output("uname -n") == options["hostname"]


@pytest.mark.static
def test_image_holds_no_machine_id(host: Any) -> None:
    """The image has an empty machine id, for each start to make its own."""
    assert host.file("/etc/machine-id").content == b""


@pytest.mark.static
def test_image_makes_a_machine_id_at_start(host: Any) -> None:
    """The initrd's script for the machine id is there and can be run."""
    script = host.file("/etc/initramfs-tools/scripts/init-bottom/gnoppix-machine-id")
    assert script.is_executable


@pytest.mark.running
def test_machine_id_is_random(host: Any) -> None:
    """The machine id is a random UUID, and not the number of the (virtual) mainboard."""
    machine_id = host.file("/etc/machine-id").content_string.strip()
    assert re.fullmatch("[0-9a-f]{12}4[0-9a-f]{3}[89ab][0-9a-f]{15}", machine_id), machine_id
    board = host.run("cat /sys/class/dmi/id/product_uuid").stdout.strip()
    assert machine_id != board.replace("-", "").lower()


@pytest.mark.static
@pytest.mark.running
def test_dbus_has_no_machine_id_of_its_own(host: Any) -> None:
    """D-Bus takes the machine id of the system."""
    file = host.file("/var/lib/dbus/machine-id")
    assert not file.exists or file.is_symlink
