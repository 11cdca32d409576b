# SPDX-License-Identifier: GPL-3.0-or-later
"""The root shell that a verification brings to a guest, and the port that it speaks by."""

import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from container import Container
from net_namespace import Namespace

from gnoppix_build.effects.guest_channel import PORT_NAME, SHELL_UNIT, UNIT_NAME

pytestmark = pytest.mark.root

PORT = f"/dev/virtio-ports/{PORT_NAME}"
# A pipe stands in for the port; somebody holds its other end, as a machine does.
MAKE_PORT = f"mkdir -p {Path(PORT).parent} && mkfifo {PORT} && exec sleep 60 <>{PORT}"
TIMEOUT_S = 20.0


@pytest.fixture
def system(lab_root: Path, tmp_path: Path) -> Iterator[Container]:
    with Namespace() as network, Container(lab_root, tmp_path / "container", network) as container:
        place = f"/run/systemd/system/{UNIT_NAME}"
        container.run("sh", "-c", f"cat >{place}", stdin=SHELL_UNIT.encode())
        container.run("systemctl", "daemon-reload")
        yield container


def property_of(system: Container, name: str) -> str:
    return system.run("systemctl", "show", f"--property={name}", "--value", UNIT_NAME).strip()


def wait_for_shell(system: Container) -> None:
    deadline = time.monotonic() + TIMEOUT_S
    while True:
        shell = property_of(system, "MainPID")
        if system.try_run("readlink", f"/proc/{shell}/fd/0").stdout.strip() == PORT:
            return
        assert time.monotonic() < deadline, system.run("systemctl", "status", UNIT_NAME)
        time.sleep(0.2)


def test_shell_comes_up_on_a_port_that_is_there(system: Container) -> None:
    system.run("systemd-run", "--quiet", "sh", "-c", MAKE_PORT)
    system.run("sh", "-c", f"until test -p {PORT}; do sleep 0.1; done")
    system.run("systemctl", "start", UNIT_NAME)
    wait_for_shell(system)
    assert property_of(system, "NRestarts") == "0"
    assert property_of(system, "ActiveState") == "active"


def test_shell_comes_up_when_its_port_comes_later(system: Container) -> None:
    """Longer than systemd's own limit on starts: five within ten seconds."""
    system.try_run("systemctl", "start", UNIT_NAME)
    deadline = time.monotonic() + 2 * TIMEOUT_S
    while int(property_of(system, "NRestarts")) < 6:
        assert time.monotonic() < deadline, system.run("systemctl", "status", UNIT_NAME)
        time.sleep(0.5)
    system.run("systemd-run", "--quiet", "sh", "-c", MAKE_PORT)
    wait_for_shell(system)
    assert property_of(system, "ActiveState") == "active"
