# SPDX-License-Identifier: GPL-3.0-or-later
"""Who is in which group: by a user's own declaration, or because the group is for people."""

from collections.abc import Iterable, Mapping

from gnoppix_build.resolve.model import ResolvedComponent


def groups_of_users(components: Iterable[ResolvedComponent]) -> Mapping[str, tuple[str, ...]]:
    """Map each declared user to the groups that it is in besides its own, sorted."""
    chosen = tuple(components)
    for_people = {
        group.name
        for component in chosen
        for group in component.manifest.groups
        if group.for_people and component.holds(group.when)
    }
    return {
        user.name: tuple(sorted({*user.groups} | (for_people if user.is_person else set())))
        for component in chosen
        for user in component.manifest.users
        if component.holds(user.when)
    }
