# SPDX-License-Identifier: GPL-3.0-or-later
"""Provisioning from this host: reaches the machines, renders for them, and plays the playbooks."""

import shlex
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import click

from gnoppix_build.app.assembly import render_profile
from gnoppix_build.app.provision import Host, check_hosts, find_hosts
from gnoppix_build.cli import session
from gnoppix_build.cli.payloads import require_payloads
from gnoppix_build.effects.ansible import Change, Listener, PlayOptions, provision
from gnoppix_build.effects.ansible_pattern import select_hosts
from gnoppix_build.effects.machine import agent_socket, opened_shell, read_visit
from gnoppix_build.effects.payloads import write_payloads
from gnoppix_build.effects.workshop import write_tree
from gnoppix_build.language.suggestion import did_you_mean
from gnoppix_build.policy.way_in import Session
from gnoppix_build.resolve.model import Resolved
from gnoppix_build.targets.remote import MachineAddress, NotAnAddress, name_apart, parse_address


@dataclass(frozen=True, slots=True)
class SshMachines:
    """Machines that ssh(1) reaches, with a configuration of one's own if there is one."""

    configuration: Path | None

    def look_at(self, address: MachineAddress) -> Host:
        """Reach a machine and see how."""
        with opened_shell(address, self.configuration) as shell:
            is_root, connection = read_visit(shell)
        words = connection.split()
        came_by = Session(int(words[3]), words[0]) if len(words) > 3 else None  # noqa: PLR2004
        return Host(address, came_by, is_root)

    def inventory_of(
        self, hosts: Sequence[Host], undo_after: int
    ) -> Mapping[str, dict[str, object]]:
        """Give what Ansible has to know to reach them as root."""
        return {host.address.name: self._variables_of(host, undo_after) for host in hosts}

    def _variables_of(self, host: Host, undo_after: int) -> dict[str, object]:
        address = host.address
        port = host.session.port if host.session else 0
        gate = {"gnoppix_session_port": port, "gnoppix_undo_after": undo_after}
        if address.is_local:
            return {"ansible_connection": "local", **gate}
        own = shlex.join(("-F", str(self.configuration))) if self.configuration else ""
        known = {
            "ansible_user": address.user,
            "ansible_port": address.port,
            "ansible_ssh_common_args": own,
        }
        return {
            "ansible_connection": "ssh",
            "ansible_host": address.host,
            "ansible_become": not host.is_root,
            **{name: value for name, value in known.items() if value},
            **gate,
        }


def provision_machines(
    profile: str,
    folders: tuple[Path, ...],
    addresses: Sequence[MachineAddress],
    machines: SshMachines,
    options: PlayOptions,
    undo_after: int,
) -> Mapping[str, int]:
    """Bring a profile to machines; gives host -> how many tasks changed something."""
    resolution = session.resolve_profile(profile, folders, "machine")
    resolved = session.require_resolved(resolution)
    _check_tags(resolved, options.tags)
    hosts = find_hosts(addresses, machines)
    faults = tuple(check_hosts(resolved, hosts, session.require_catalog(folders)))
    session.show_diagnostics(faults, resolution.sources)
    if faults:
        raise click.exceptions.Exit(session.PROFILE_MISTAKES)
    payloads = require_payloads(profile, resolved)
    reader = session.make_reader(profile, folders)
    tree = render_profile(resolved, None, session.data_folder("playbooks"), reader)
    logs = session.cache_folder() / "logs" / resolved.name
    log = logs / "provision.log"
    log.unlink(missing_ok=True)
    with tempfile.TemporaryDirectory(prefix="gnoppix-provision-") as scratch:
        folder = Path(scratch) / "rendered"
        write_tree(tree.files, folder)
        write_payloads(payloads, folder, is_linked=True)
        return provision(
            folder,
            machines.inventory_of(hosts, undo_after),
            log=log,
            artifacts=logs / "provision",
            options=options,
            listener=Listener(_tell_task, _tell_change),
            agent=agent_socket(),
        )


def _check_tags(resolved: Resolved, tags: Sequence[str]) -> None:
    """Refuse a component that the profile does not have: nothing would be done for it."""
    names = [component.name for component in resolved.components]
    for tag in tags:
        if tag not in names:
            hint = did_you_mean(tag, names)
            message = f"`{resolved.name}` has no component `{tag}`"
            raise click.UsageError(f"{message}; {hint}" if hint else message)


def _tell_task(task: str) -> None:
    click.echo(f"  {task}", err=True)


def _tell_change(change: Change) -> None:
    click.echo(f"{change.host}: {change.task}")
    if change.diff:
        click.echo(f"{change.diff}\n")


def tell_ends(
    addresses: Sequence[MachineAddress],
    chosen: Sequence[MachineAddress],
    changed: Mapping[str, int],
    *,
    is_check: bool,
) -> None:
    """Say of each machine how it ended; `changed` are those that came to the end."""
    what = "would change something" if is_check else "changed something"
    for address in addresses:
        if address not in chosen:
            end = "left out by --limit"
        elif address.name not in changed:
            end = "failed"
        else:
            count = changed[address.name]
            end = f"{count} tasks {what}" if count else "nothing to change"
        click.echo(f"{address.name}: {end}")


def read_addresses(hosts: Sequence[str]) -> tuple[MachineAddress, ...]:
    """Read the addresses of machines; mistakes are those of usage."""
    try:
        addresses = name_apart([parse_address(host) for host in hosts])
    except NotAnAddress as error:
        raise click.UsageError(str(error)) from error
    if len({address.name for address in addresses}) < len(addresses):
        raise click.UsageError("a host is given twice")
    return addresses


def choose_addresses(
    addresses: Sequence[MachineAddress], pattern: str
) -> tuple[MachineAddress, ...]:
    """Give the addresses of a pattern of hosts; all of them when it is empty."""
    if not pattern:
        return tuple(addresses)
    known = [address.name for address in addresses]
    # An IPv6 address with a port is a name that Ansible takes for several.
    names = frozenset({pattern}) if pattern in known else select_hosts(known, pattern)
    if not names:
        raise click.UsageError(f"no host is of the pattern `{pattern}`")
    return tuple(address for address in addresses if address.name in names)
