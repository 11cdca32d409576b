# SPDX-License-Identifier: GPL-3.0-or-later
"""`build-image provision`, as far as it goes without a machine."""

import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner

from gnoppix_build.cli import build_image
from gnoppix_build.cli import provision as provisioning
from gnoppix_build.effects.ansible import Failure, HostsFault
from gnoppix_build.effects.ansible_pattern import select_hosts

PROJECT = Path(__file__).parents[2]
HOSTS = ("10.0.0.2", "fd00::1", "box.example")
# Nobody listens at the port of `discard`.
TWO_HOSTS = ("--host", "ssh://127.0.0.1:9", "--host", "ssh://localhost:9")


def provision(*options: str) -> tuple[int, str]:
    done = subprocess.run(
        (sys.executable, "-m", "gnoppix_build", "provision", "hardened-server", *options),
        check=False,
        capture_output=True,
        text=True,
        cwd=PROJECT,
        stdin=subprocess.DEVNULL,
    )
    assert done.stdout == ""
    return done.returncode, done.stderr


@pytest.mark.parametrize(
    ("pattern", "selected"),
    [
        ("10.0.0.2", {"10.0.0.2"}),
        ("all:!10.0.0.2", {"fd00::1", "box.example"}),
        ("fd00::1,*.example", {"fd00::1", "box.example"}),
        ("nobody", set()),
    ],
)
def test_pattern_selects_hosts(pattern: str, selected: set[str]) -> None:
    assert select_hosts(HOSTS, pattern) == selected


def test_host_that_is_left_out_is_not_visited() -> None:
    status, talk = provision(*TWO_HOSTS)
    assert status == 6
    assert "error[unreachable]: `127.0.0.1` cannot be reached: " in talk
    status, talk = provision(*TWO_HOSTS, "--limit", "localhost")
    assert status == 6
    assert "error[unreachable]: `localhost` cannot be reached: " in talk
    assert "`127.0.0.1`" not in talk


def test_pattern_that_no_host_is_of_is_refused() -> None:
    status, talk = provision(*TWO_HOSTS, "--limit", "all:!127.0.0.1:!localhost")
    assert status == 2
    assert "Error: no host is of the pattern `all:!127.0.0.1:!localhost`" in talk


def test_each_host_is_told_how_it_ended(monkeypatch: pytest.MonkeyPatch) -> None:
    fault = HostsFault(
        [Failure("::1", "Play", "", "no")], {"a.example": 2, "b.example": 0}, Path("log")
    )

    def fail(*_: object) -> None:
        raise fault

    monkeypatch.setattr(provisioning, "provision_machines", fail)
    hosts = (f"--host=ssh://{name}" for name in ("a.example", "[::1]", "b.example", "c.example"))
    done = CliRunner().invoke(
        build_image, ("provision", "minimal", *hosts, "--limit", "all:!c.example")
    )
    assert done.exception is fault
    assert done.stdout.splitlines() == [
        "a.example: 2 tasks changed something",
        "::1: failed",
        "b.example: nothing to change",
        "c.example: left out by --limit",
    ]


def test_machines_at_one_address_are_named_by_their_ports() -> None:
    hosts = ("ssh://root@gw:2201", "ssh://root@gw:2202", "ssh://[fd00::1]:2201", "ssh://[fd00::1]")
    addresses = provisioning.read_addresses((*hosts, "ssh://box:2201"))
    names = [address.name for address in addresses]
    assert names == ["gw_2201", "gw_2202", "fd00::1_2201", "fd00::1", "box"]
    assert [(each.host, each.port) for each in addresses[:2]] == [("gw", 2201), ("gw", 2202)]
    for name in names:
        assert [each.name for each in provisioning.choose_addresses(addresses, name)] == [name]
    assert select_hosts(names, "gw*") == {"gw_2201", "gw_2202"}


def test_machine_that_is_given_twice_is_refused() -> None:
    """By one port it is one machine, whoever comes in."""
    status, talk = provision("--host", "ssh://a@gw:2201", "--host", "ssh://b@gw:2201")
    assert status == 2
    assert "Error: a host is given twice" in talk


def test_component_that_the_profile_does_not_have_is_refused() -> None:
    status, talk = provision(*TWO_HOSTS, "--only", "firewal")
    assert status == 2
    assert "Error: `hardened-server` has no component `firewal`; did you mean `firewall`?" in talk
