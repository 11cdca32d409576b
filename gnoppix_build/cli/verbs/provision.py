# SPDX-License-Identifier: GPL-3.0-or-later
"""`build-image provision`."""

from pathlib import Path

import click

from gnoppix_build.cli.options import (
    components_option,
    hosts_option,
    profile_argument,
    ssh_configuration_option,
)


@click.command()
@profile_argument
@components_option
@hosts_option
@ssh_configuration_option
@click.option("--check", "is_check", is_flag=True, help="Change nothing; say what would change.")
@click.option("--diff", "with_diff", is_flag=True, help="Show what changes, line by line.")
@click.option(
    "--limit",
    metavar="PATTERN",
    default="",
    help="Only the hosts of this pattern, as Ansible reads it; the others are not visited. Hosts "
    "that share an address are named ADDRESS_PORT.",
)
@click.option(
    "--only",
    "tags",
    metavar="COMPONENT",
    multiple=True,
    help="Of what is brought component by component only this one's; may be given several times. "
    "The steps of the whole machine are taken; units of components that are not there are left.",
)
@click.option(
    "--undo-after",
    metavar="SECONDS",
    type=click.IntRange(10, 3600),
    default=120,
    show_default=True,
    help="When a change of the firewall goes back if nobody gets through it.",
)
def verb(
    *,
    profile: str,
    folders: tuple[Path, ...],
    hosts: tuple[str, ...],
    ssh_configuration: Path | None,
    is_check: bool,
    with_diff: bool,
    limit: str,
    tags: tuple[str, ...],
    undo_after: int,
) -> None:
    """Bring a profile to machines that run Debian already.

    A host is `local` or `ssh://[USER@]HOST[:PORT]`; the user has to be root, or to become root by
    sudo without a password. A second run changes nothing, and what a component that left the
    profile brought goes with the next. Private roots are made and models fetched on this host, and
    copied; to make a private root needs root here, unless the store has it. Firewall, network and
    remote access are changed last, and go back by themselves unless a fresh connection gets
    through. `verify --host` tells afterwards what differs.
    """
    from gnoppix_build.cli import provision
    from gnoppix_build.effects.ansible import HostsFault, PlayOptions

    options = PlayOptions(is_check, with_diff, tags)
    machines = provision.SshMachines(ssh_configuration)
    addresses = provision.read_addresses(hosts)
    chosen = provision.choose_addresses(addresses, limit)
    try:
        changed = provision.provision_machines(
            profile, folders, chosen, machines, options, undo_after
        )
    except HostsFault as fault:
        provision.tell_ends(addresses, chosen, fault.changed, is_check=is_check)
        raise
    provision.tell_ends(addresses, chosen, changed, is_check=is_check)
