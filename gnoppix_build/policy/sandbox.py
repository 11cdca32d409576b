# SPDX-License-Identifier: GPL-3.0-or-later
"""The sandbox of each service, compiled from a baseline and from what its user may reach.

Source: systemd.exec(5), "SANDBOXING"; systemd.resource-control(5), `IPAddressAllow=`.
"""

from collections.abc import Iterator, Mapping
from pathlib import PurePosixPath
from typing import Final

from gnoppix_build.policy.model import EVERYONE, Policy, PolicyService

DROP_IN: Final = "60-gnoppix-sandbox.conf"
CARRIER_NAMESPACE: Final = "/run/netns/carrier"
CARRIER_UNIT: Final = "gnoppix-carrier.service"

_BASELINE: Final[Mapping[str, str]] = {
    "DevicePolicy": "closed",
    "KeyringMode": "private",
    "LockPersonality": "yes",
    "MemoryDenyWriteExecute": "yes",
    "NoNewPrivileges": "yes",
    "PrivateDevices": "yes",
    "PrivateTmp": "yes",
    "ProcSubset": "pid",
    "ProtectClock": "yes",
    "ProtectControlGroups": "yes",
    "ProtectHome": "yes",
    "ProtectHostname": "yes",
    "ProtectKernelLogs": "yes",
    "ProtectKernelModules": "yes",
    "ProtectKernelTunables": "yes",
    "ProtectProc": "invisible",
    "ProtectSystem": "strict",
    "RemoveIPC": "yes",
    "RestrictNamespaces": "yes",
    "RestrictRealtime": "yes",
    "RestrictSUIDSGID": "yes",
    "SystemCallArchitectures": "native",
    "SystemCallErrorNumber": "EPERM",
    "UMask": "0077",
}
# What a package's unit lists of these would be added to; an empty value ends its list.
_ADDING: Final = frozenset(
    (
        "AmbientCapabilities",
        "CapabilityBoundingSet",
        "DeviceAllow",
        "IPAddressAllow",
        "RestrictAddressFamilies",
        "SystemCallFilter",
    )
)
# What no relaxation gives back: an io_uring, whose calls are in `@system-service`, makes sockets of
# families that are refused to socket(2). Source: io_uring_prep_socket(3), systemd.exec(5).
_REFUSED: Final[Mapping[str, str]] = {
    "SystemCallFilter": "~io_uring_enter io_uring_register io_uring_setup"
}
# Each needs a mount namespace of the unit's own. Source: systemd.exec(5).
_OWN_MOUNTS: Final = frozenset(
    (
        "InaccessiblePaths",
        "PrivateDevices",
        "PrivateTmp",
        "ProcSubset",
        "ProtectControlGroups",
        "ProtectHome",
        "ProtectKernelLogs",
        "ProtectKernelModules",
        "ProtectKernelTunables",
        "ProtectProc",
        "ProtectSystem",
        "TemporaryFileSystem",
    )
)
_HIDDEN_ALWAYS: Final = ("/run/dbus", "/run/podman", "/run/systemd/resolve", "/run/user")
_HIDDEN_SOCKET: Final = "-/run/docker.sock"
# What a service that sends nothing is asked for stays out of the journal too. What it prints goes
# there by a connection that it was started with.
_JOURNAL: Final = "/run/systemd/journal"
_SYSTEMD: Final = PurePosixPath("/run/systemd")
# As many folders are above what lies in a folder of /run: that one, /run and the root.
_DIRECTLY_BELOW_RUN: Final = 3


def path_of_drop_in(unit: str) -> str:
    """Give where the sandbox of a unit is written."""
    return f"/etc/systemd/system/{unit}.d/{DROP_IN}"


def format_drop_in(policy: Policy, service: PolicyService) -> str:
    """Write the drop-in of a service; each setting that is relaxed tells why."""
    settings = _settings(policy.within(service.namespace), service)
    lines = ["[Service]"]
    if service.namespace == "carrier":
        lines = [
            "[Unit]",
            *(f"{setting}={CARRIER_UNIT}" for setting in ("After", "Requires")),
            "",
            *lines,
        ]
    for setting in sorted({*settings, *service.relaxes}):
        relaxation = service.relaxes.get(setting)
        values = settings[setting] if relaxation is None else (relaxation.to, *relaxation.also)
        if setting in _REFUSED:
            values += (_REFUSED[setting],)
        if relaxation is not None:
            lines.append(f"# {relaxation.because}")
        if setting in _ADDING and values != ("",):
            lines.append(f"{setting}=")
        lines += [f"{setting}={value}" for value in values]
    return "\n".join((*lines, ""))


def _settings(policy: Policy, service: PolicyService) -> Mapping[str, tuple[str, ...]]:
    """Give setting -> values, each a line of its own."""
    settings: dict[str, tuple[str, ...]] = {
        setting: (value,) for setting, value in _BASELINE.items()
    }
    settings |= _privileges(service)
    settings |= _network(policy, service)
    settings |= _sockets(policy, service)
    if service.writes:
        settings["ReadWritePaths"] = (" ".join(service.writes),)
    left_out = _OWN_MOUNTS if service.mounts else frozenset[str]()
    return {
        setting: values
        for setting, values in settings.items()
        if values and setting not in left_out
    }


def _privileges(service: PolicyService) -> Mapping[str, tuple[str, ...]]:
    calls = ("@system-service", "~@privileged @resources")
    settings: dict[str, tuple[str, ...]] = {
        "AmbientCapabilities": (" ".join(service.ambient),),
        "CapabilityBoundingSet": (" ".join(sorted({*service.capabilities, *service.ambient})),),
        "SystemCallFilter": (*calls, "@chown @setuid") if service.drops_privileges else calls,
    }
    if not service.drops_privileges:
        settings |= {"User": (service.user,), "Group": (service.user,)}
        if not service.ambient and not service.capabilities:
            settings["PrivateUsers"] = ("yes",)
    return settings


def _network(policy: Policy, service: PolicyService) -> Mapping[str, tuple[str, ...]]:
    reaches = {each.reach for each in policy.confined if each.user == service.user}
    listens = [each for each in policy.listeners if each.user == service.user]
    links = [each for each in policy.links if each.user == service.user]
    senders = {service.user} if service.user in policy.bound_users else {service.user, EVERYONE}
    flows = [each for each in policy.direct if each.user in senders]
    if "none" in reaches and not listens:
        return {
            "IPAddressDeny": ("any",),
            "PrivateNetwork": ("yes",),
            "RestrictAddressFamilies": ("AF_UNIX",),
        }
    families = {"AF_INET", "AF_UNIX"}
    if (policy.has_ipv6 and flows) or any(":" in each.address for each in listens):
        families.add("AF_INET6")
    if links:
        families |= {"AF_NETLINK", "AF_PACKET"}
    settings: dict[str, tuple[str, ...]] = {
        "RestrictAddressFamilies": (" ".join(sorted(families)),)
    }
    is_open = any(not each.is_loopback for each in listens) or bool(links)
    if not is_open and all(flow.addresses for flow in flows):
        far = sorted({address for flow in flows for address in flow.addresses})
        settings |= {"IPAddressAllow": (" ".join(("localhost", *far)),), "IPAddressDeny": ("any",)}
    if service.namespace == "carrier":
        settings["NetworkNamespacePath"] = (CARRIER_NAMESPACE,)
    return settings


def _sockets(policy: Policy, service: PolicyService) -> Mapping[str, tuple[str, ...]]:
    """Hide the sockets of others, and keep the folder of one's own while others hide it.

    A folder is covered rather than a socket, which may be made after the service has started. What
    covers it makes it too, as a path that has to be inaccessible would not; and a folder that were
    removed, and made again, would come out from under its cover.
    """
    covers = tuple(f"{path}:ro,mode=0000" for path in hidden_paths(policy, service))
    own = [PurePosixPath(each.path) for each in policy.sockets if each.user == service.user]
    keeps = any(_covered_folder(path) == path.parent for path in own)
    return {
        "InaccessiblePaths": (_HIDDEN_SOCKET,),
        "RuntimeDirectoryPreserve": ("yes",) if keeps else (),
        "TemporaryFileSystem": covers,
    }


def _covered_folder(socket: PurePosixPath) -> PurePosixPath:
    """Give the folder directly below /run, which stays when one within it goes.

    That of systemd is everybody's: there it is the socket's own.
    """
    if len(socket.parents) <= _DIRECTLY_BELOW_RUN or _SYSTEMD in socket.parents:
        return socket.parent
    return socket.parents[-_DIRECTLY_BELOW_RUN]


def hidden_paths(policy: Policy, service: PolicyService) -> Iterator[str]:
    """Give the folders of Unix sockets that a service must not reach, sorted."""
    own = {each.path for each in policy.sockets if each.user == service.user}
    seen = [PurePosixPath(path) for path in (*own, *service.sees_sockets, *service.writes)]
    folders = {str(_covered_folder(PurePosixPath(each.path))) for each in policy.sockets}
    confined = {each.user for each in policy.confined if each.reach == "none"}
    always = {*_HIDDEN_ALWAYS, _JOURNAL} if service.user in confined else {*_HIDDEN_ALWAYS}
    for folder in sorted(always | folders):
        place = PurePosixPath(folder)
        if not any(path == place or place in path.parents for path in seen):
            yield folder
