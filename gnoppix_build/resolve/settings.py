# SPDX-License-Identifier: GPL-3.0-or-later
"""Keys of a profile that only some components put into effect."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from gnoppix_build.catalog.load import Catalog
from gnoppix_build.diagnostics import Diagnostic
from gnoppix_build.language.node import child
from gnoppix_build.resolve.inherit import Member
from gnoppix_build.resolve.model import Resolved

DEFAULT_LOCALE: Final = "C.UTF-8"
DEFAULT_KEYBOARD: Final = "us"


@dataclass(frozen=True, slots=True)
class Setting:
    """A key, its value as decided, the value that needs nothing, and what puts others in force."""

    key: str
    value: str
    default: str
    provider: str


def check_settings(
    resolved: Resolved, members: Sequence[Member], catalog: Catalog
) -> Iterator[Diagnostic]:
    """Find values that would change nothing because no component of the profile uses them."""
    provided = {thing for component in resolved.components for thing in component.manifest.provides}
    settings = (
        Setting("locale", resolved.locale, DEFAULT_LOCALE, "generated-locale"),
        Setting("keyboard", resolved.keyboard, DEFAULT_KEYBOARD, "keyboard-layout"),
    )
    for setting in settings:
        if setting.value == setting.default or setting.provider in provided:
            continue
        place = next(
            node.span
            for member in reversed(members)
            if (node := child(member.root, setting.key)) is not None
        )
        able = sorted(
            component.name
            for component in catalog.components.values()
            if setting.provider in component.manifest.provides
        )
        yield Diagnostic(
            "setting-without-effect",
            f"no component of the profile puts the {setting.key} `{setting.value}` into effect",
            place,
            (),
            f"add `{able[0]}: {{}}` under `components:`" if able else None,
        )
