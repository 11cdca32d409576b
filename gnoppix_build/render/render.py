# SPDX-License-Identifier: GPL-3.0-or-later
"""Everything decided to every file that a build or a machine gets; same inputs, same bytes."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Final

from gnoppix_build.lock.model import Lock, PackageSet
from gnoppix_build.lock.wanted import wanted_packages, wanted_roots
from gnoppix_build.policy.compile import compile_policy
from gnoppix_build.policy.documents import policy_documents
from gnoppix_build.render.configuration import render_configuration
from gnoppix_build.render.described import (
    describe_components,
    describe_machine,
    without_later_steps,
)
from gnoppix_build.render.inventory import write_component_tasks, write_hosts, write_variables
from gnoppix_build.render.sources import ComponentReader
from gnoppix_build.render.tree import ImageFile, RenderedTree
from gnoppix_build.resolve.membership import groups_of_users
from gnoppix_build.resolve.model import Resolved, ResolvedComponent
from gnoppix_build.resolve.models import find_models

LAYERS: Final = ("base", "packages")
_TASKS_FILE: Final = "main.yml"


def render(
    resolved: Resolved,
    lock: Lock | None,
    playbooks: Mapping[str, bytes],
    reader: ComponentReader,
) -> RenderedTree:
    """Render a profile as an ansible-runner private data directory and what a plan needs of it.

    `playbooks` maps a path below `project/` to its bytes. With a lock, `packages/LAYER.lock`
    names each package with its version beside `packages/LAYER.list`, which says what was wanted.
    """
    configuration = render_configuration(resolved, reader)
    policy = compile_policy(resolved)
    tasks = dict(_tasks_of(resolved, reader))
    wanted = wanted_packages(resolved)
    packages = {"base": wanted.base, "packages": wanted.packages}
    sysusers = {layer: _sysusers_of_layer(resolved, layer) for layer in LAYERS}
    files = {
        "inventory/hosts.yml": write_hosts(resolved.target),
        **{f"project/{path}": content for path, content in playbooks.items()},
        **_what_playbooks_are_told(resolved, configuration, frozenset(tasks), sysusers),
        **{f"project/files/{file.origin}{file.path}": file.content for file in configuration},
        **{f"project/tasks/{name}.yml": content for name, content in tasks.items()},
        **{f"policy/{name}": content for name, content in policy_documents(policy).items()},
        **{f"packages/{layer}.list": _lines(names) for layer, names in packages.items()},
        **{f"sysusers/{layer}.conf": text.encode() for layer, text in sysusers.items()},
    }
    if lock is not None:
        locked = {"base": lock.base, "packages": lock.packages}
        files |= {f"packages/{layer}.lock": _exact(chosen) for layer, chosen in locked.items()}
    return RenderedTree(
        profile=resolved.name,
        files=dict(sorted(files.items())),
        configuration=configuration,
        sysusers=sysusers,
        packages=packages,
        kernel_arguments=tuple(
            argument
            for component in resolved.components
            for contribution in component.contributions
            for argument in contribution.kernel_arguments
        ),
        private_roots=wanted_roots(resolved),
        models=tuple(find_models(resolved.components)),
    )


def _what_playbooks_are_told(
    resolved: Resolved,
    configuration: Sequence[ImageFile],
    with_tasks: frozenset[str],
    sysusers: Mapping[str, str],
) -> Mapping[str, bytes]:
    """Write the variables, beside the playbooks so that any inventory will do, and their tasks."""
    components = describe_components(resolved, configuration, with_tasks)
    machine = None
    if resolved.target == "machine":
        machine = describe_machine(resolved, components, "".join(sysusers.values()))
        components = without_later_steps(resolved, components)
    return {
        "project/group_vars/all.yml": write_variables(components, machine),
        "project/components.yml": write_component_tasks([each.name for each in components]),
    }


def _tasks_of(resolved: Resolved, reader: ComponentReader) -> Iterator[tuple[str, bytes]]:
    for component in resolved.components:
        for source in reader.files_below(component.folder / "tasks"):
            if source.path == _TASKS_FILE:
                yield component.name, source.content


def _sysusers_of_layer(resolved: Resolved, layer: str) -> str:
    """Write sysusers.d(5) lines that give every declared user and group its number.

    A group comes with its first member too, which may be of a lower layer than the group is.
    """
    gids = _gids_of(resolved)
    groups = groups_of_users(resolved.components)
    lines = {
        line
        for component in resolved.components
        if component.layer == layer
        for line in _sysusers_of(component, groups, gids)
    }
    return "".join(f"{line}\n" for line in sorted(lines))


def component_accounts(resolved: Resolved) -> Mapping[str, str]:
    """Write the same lines for each component by itself: name -> lines."""
    gids = _gids_of(resolved)
    groups = groups_of_users(resolved.components)
    return {
        component.name: "".join(
            f"{line}\n" for line in sorted({*_sysusers_of(component, groups, gids)})
        )
        for component in resolved.components
    }


def _gids_of(resolved: Resolved) -> Mapping[str, int]:
    return {
        group.name: group.gid
        for component in resolved.components
        for group in component.manifest.groups
        if component.holds(group.when)
    }


def _sysusers_of(
    component: ResolvedComponent,
    groups: Mapping[str, tuple[str, ...]],
    gids: Mapping[str, int],
) -> Iterator[str]:
    for group in component.manifest.groups:
        if component.holds(group.when):
            yield f"g {group.name} {group.gid} -"
    for user in component.manifest.users:
        if component.holds(user.when):
            assert '"' not in user.gecos, "a sysusers.d field in quotes"
            yield f"g {user.name} {user.uid} -"
            number = f"{user.uid}:{user.uid}"
            yield f'u {user.name} {number} "{user.gecos or "-"}" {user.home} {user.shell}'
            for name in groups[user.name]:
                if name in gids:
                    yield f"g {name} {gids[name]} -"
                yield f"m {user.name} {name}"


def _lines(names: tuple[str, ...]) -> bytes:
    return "".join(f"{name}\n" for name in names).encode()


def _exact(chosen: PackageSet) -> bytes:
    return _lines(tuple(sorted(f"{each.name}={each.version}" for each in chosen.packages)))
