# SPDX-License-Identifier: GPL-3.0-or-later
"""Sandboxes: what a unit may reach follows from what its user declares."""

from dataclasses import replace

import pytest

from gnoppix_build.catalog.service import Relaxation
from gnoppix_build.policy.model import (
    Carried,
    Confined,
    DirectFlow,
    LinkFlow,
    Policy,
    PolicyListener,
    PolicyService,
    PolicySocket,
)
from gnoppix_build.policy.sandbox import format_drop_in, hidden_paths

SERVICE = PolicyService(
    component="names",
    unit="names.service",
    user="names",
    drops_privileges=False,
    capabilities=(),
    ambient=(),
    writes=("/var/lib/names",),
    sees_sockets=(),
    relaxes={},
    exposure=15,
    because="",
)
LISTENER = PolicyListener("names", "names", "udp", "127.0.0.1", 53, ("everyone",))
EMPTY = Policy(profile="test")
NO_RING = "~io_uring_enter io_uring_register io_uring_setup"


def settings(policy: Policy, service: PolicyService = SERVICE) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for line in format_drop_in(policy, service).splitlines():
        if "=" in line and not line.startswith("#") and not line.endswith("="):
            setting, _, value = line.partition("=")
            found.setdefault(setting, []).append(value)
    return found


def test_drop_in_of_a_user_with_flows_to_known_addresses() -> None:
    flow = DirectFlow("names", "names", "tcp", (853,), ("192.0.2.53",))
    policy = Policy(profile="test", listeners=(LISTENER,), direct=(flow,))
    assert (
        format_drop_in(policy, SERVICE)
        == """\
[Service]
AmbientCapabilities=
CapabilityBoundingSet=
DevicePolicy=closed
Group=names
IPAddressAllow=
IPAddressAllow=localhost 192.0.2.53
IPAddressDeny=any
InaccessiblePaths=-/run/docker.sock
KeyringMode=private
LockPersonality=yes
MemoryDenyWriteExecute=yes
NoNewPrivileges=yes
PrivateDevices=yes
PrivateTmp=yes
PrivateUsers=yes
ProcSubset=pid
ProtectClock=yes
ProtectControlGroups=yes
ProtectHome=yes
ProtectHostname=yes
ProtectKernelLogs=yes
ProtectKernelModules=yes
ProtectKernelTunables=yes
ProtectProc=invisible
ProtectSystem=strict
ReadWritePaths=/var/lib/names
RemoveIPC=yes
RestrictAddressFamilies=
RestrictAddressFamilies=AF_INET AF_UNIX
RestrictNamespaces=yes
RestrictRealtime=yes
RestrictSUIDSGID=yes
SystemCallArchitectures=native
SystemCallErrorNumber=EPERM
SystemCallFilter=
SystemCallFilter=@system-service
SystemCallFilter=~@privileged @resources
SystemCallFilter=~io_uring_enter io_uring_register io_uring_setup
TemporaryFileSystem=/run/dbus:ro,mode=0000
TemporaryFileSystem=/run/podman:ro,mode=0000
TemporaryFileSystem=/run/systemd/resolve:ro,mode=0000
TemporaryFileSystem=/run/user:ro,mode=0000
UMask=0077
User=names
"""
    )


def test_list_of_the_package_ends_before_ours_begins() -> None:
    service = replace(SERVICE, capabilities=("CAP_NET_ADMIN",))
    lines = format_drop_in(EMPTY, service).splitlines()
    place = lines.index("CapabilityBoundingSet=CAP_NET_ADMIN")
    assert lines[place - 1] == "CapabilityBoundingSet="


def test_user_that_reaches_nothing_has_no_network() -> None:
    found = settings(Policy(profile="test", confined=(Confined("names", "names", "none"),)))
    assert found["PrivateNetwork"] == ["yes"]
    assert found["RestrictAddressFamilies"] == ["AF_UNIX"]
    assert found["IPAddressDeny"] == ["any"]
    assert "IPAddressAllow" not in found


def test_user_without_a_declaration_reaches_only_this_machine() -> None:
    found = settings(EMPTY)
    assert (found["IPAddressAllow"], found["IPAddressDeny"]) == (["localhost"], ["any"])


def test_user_that_is_carried_does_not_have_what_everyone_has() -> None:
    policy = Policy(
        profile="test",
        direct=(DirectFlow("tunnel", "everyone", "tcp"),),
        carried=(Carried("names", "names", "tor"),),
    )
    assert settings(policy)["IPAddressAllow"] == ["localhost"]
    assert "IPAddressAllow" not in settings(replace(policy, carried=()))


def test_user_with_a_flow_to_any_address_is_not_bound_to_some() -> None:
    found = settings(Policy(profile="test", direct=(DirectFlow("names", "names", "tcp"),)))
    assert not {"IPAddressAllow", "IPAddressDeny"} & found.keys()
    assert found["RestrictAddressFamilies"] == ["AF_INET AF_UNIX"]


def test_ipv6_is_there_for_direct_flows_on_links_that_carry_it() -> None:
    policy = Policy(
        profile="test",
        direct=(DirectFlow("names", "names", "tcp"),),
        links=(LinkFlow("cards", "nd", "kernel"),),
    )
    assert settings(policy)["RestrictAddressFamilies"] == ["AF_INET AF_INET6 AF_UNIX"]


def test_dhcp_client_has_packet_sockets() -> None:
    policy = Policy(profile="test", links=(LinkFlow("names", "dhcp4", "names"),))
    assert settings(policy)["RestrictAddressFamilies"] == ["AF_INET AF_NETLINK AF_PACKET AF_UNIX"]


def test_sockets_of_others_are_hidden_and_own_and_seen_ones_are_not() -> None:
    policy = Policy(
        profile="test",
        sockets=(
            PolicySocket("tor", "debian-tor", "/run/tor/control", ("tor-control",)),
            PolicySocket("names", "names", "/run/names/query", ("everyone",)),
            PolicySocket("models", "models", "/run/models/one/socket", ("everyone",)),
        ),
    )
    assert {"/run/tor", "/run/models"} <= set(hidden_paths(policy, SERVICE))
    assert "/run/names" not in hidden_paths(policy, SERVICE)
    seeing = replace(SERVICE, sees_sockets=("/run/tor/control", "/run/dbus/system_bus_socket"))
    assert not {"/run/tor", "/run/dbus"} & set(hidden_paths(policy, seeing))
    # Made again, its folder would come out from under what hides it from others.
    assert settings(policy, SERVICE)["RuntimeDirectoryPreserve"] == ["yes"]
    models = replace(SERVICE, user="models")
    assert "RuntimeDirectoryPreserve" not in settings(policy, models)
    assert "RuntimeDirectoryPreserve" not in settings(EMPTY, SERVICE)


@pytest.mark.parametrize("to", ["@system-service", ""])
def test_no_relaxation_gives_an_io_uring(to: str) -> None:
    """It makes sockets of every family, whatever families the unit is restricted to."""
    relaxes = {"SystemCallFilter": Relaxation(to=to, because="it may")}
    found = settings(EMPTY, replace(SERVICE, relaxes=relaxes))
    assert found["SystemCallFilter"][-1] == NO_RING


def test_relaxed_setting_stands_with_its_reason() -> None:
    relaxes = {
        "MemoryDenyWriteExecute": Relaxation(to="no", because="it compiles at run time"),
        "DeviceAllow": Relaxation(to="char-one rw", also=("/dev/two rw",), because="both work"),
        "LimitMEMLOCK": Relaxation(to="infinity", because="keys are locked into memory"),
    }
    lines = format_drop_in(EMPTY, replace(SERVICE, relaxes=relaxes)).splitlines()
    place = lines.index("MemoryDenyWriteExecute=no")
    assert lines[place - 1] == "# it compiles at run time"
    assert "LimitMEMLOCK=infinity" in lines
    place = lines.index("# both work")
    devices = ["DeviceAllow=", "DeviceAllow=char-one rw", "DeviceAllow=/dev/two rw"]
    assert lines[place + 1 : place + 4] == devices


def test_service_that_drops_privileges_starts_as_root_and_may_change_its_user() -> None:
    found = settings(EMPTY, replace(SERVICE, drops_privileges=True, capabilities=("CAP_SETUID",)))
    assert not {"User", "Group", "PrivateUsers"} & found.keys()
    assert found["CapabilityBoundingSet"] == ["CAP_SETUID"]
    assert found["SystemCallFilter"][-2:] == ["@chown @setuid", NO_RING]


def test_service_beneath_a_tunnel_waits_for_its_namespace() -> None:
    text = format_drop_in(EMPTY, replace(SERVICE, namespace="carrier"))
    assert text.startswith(
        "[Unit]\nAfter=gnoppix-carrier.service\nRequires=gnoppix-carrier.service\n\n[Service]\n"
    )
    assert "NetworkNamespacePath=/run/netns/carrier\n" in text


def test_unit_that_mounts_for_everybody_has_no_mounts_of_its_own() -> None:
    """What needs a mount namespace is left out; the rest of the sandbox stays."""
    mounting = replace(
        SERVICE, user="root", capabilities=("CAP_SYS_ADMIN",), writes=(), mounts=True
    )
    left = settings(EMPTY, replace(mounting, mounts=False)).keys() - settings(EMPTY, mounting)
    assert left == {
        *("InaccessiblePaths", "PrivateDevices", "PrivateTmp", "ProcSubset", "TemporaryFileSystem"),
        *("ProtectControlGroups", "ProtectHome", "ProtectProc", "ProtectSystem"),
        *("ProtectKernelLogs", "ProtectKernelModules", "ProtectKernelTunables"),
    }
    assert settings(EMPTY, mounting)["NoNewPrivileges"] == ["yes"]
