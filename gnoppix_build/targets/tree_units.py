# SPDX-License-Identifier: GPL-3.0-or-later
"""The state of systemd's units in a tree, read from unit files and links."""

import os
import re
from dataclasses import dataclass
from pathlib import Path

from gnoppix_build.checks.visibility import NotVisible
from gnoppix_build.targets.paths import TreePaths

UNIT_FOLDERS = ("/etc/systemd/system", "/usr/local/lib/systemd/system", "/usr/lib/systemd/system")
SUFFIXES = ("service", "socket", "mount", "automount", "swap", "target", "path", "timer", "slice")
INSTALL_SECTION = re.compile(rb"^\[Install\]", re.MULTILINE)


@dataclass(frozen=True)
class TreeService:
    """A unit of the tree, with the words of testinfra's service.

    Source: systemctl(1), `is-enabled`; systemd.unit(5), unit load path.
    """

    paths: TreePaths
    name: str

    @property
    def exists(self) -> bool:
        """Whether a unit file (or a link in its place) is there."""
        return self._fragment() is not None

    @property
    def is_masked(self) -> bool:
        """Whether the unit's file is empty or a link to /dev/null."""
        fragment = self._fragment()
        if fragment is None:
            return False
        if fragment.is_symlink():
            return fragment.readlink() == Path("/dev/null")
        return fragment.stat().st_size == 0

    @property
    def is_enabled(self) -> bool:
        """Whether `systemctl is-enabled` would say yes: linked somewhere, or not installable."""
        fragment = self._fragment()
        if fragment is None:
            raise LookupError(f"there is no unit `{self.unit}` in the tree")
        if self.is_masked:
            return False
        return self._is_wanted() or fragment.is_symlink() or not self._is_installable(fragment)

    @property
    def unit(self) -> str:
        """The name with its suffix."""
        has_suffix = self.name.rpartition(".")[2] in SUFFIXES
        return self.name if has_suffix else f"{self.name}.service"

    @property
    def is_running(self) -> bool:
        """Not to be seen in a tree."""
        raise NotVisible("a tree has no running units")

    @property
    def is_valid(self) -> bool:
        """Not to be seen in a tree."""
        raise NotVisible("systemd judges its units when it runs")

    @property
    def systemd_properties(self) -> dict[str, str]:
        """Not to be seen in a tree."""
        raise NotVisible("the properties of a unit are known when systemd runs")

    def _fragment(self) -> Path | None:
        names = [self.unit]
        if "@" in self.unit:
            template, _, instance = self.unit.partition("@")
            names.append(f"{template}@.{instance.rpartition('.')[2]}")
        for name in names:
            for folder in UNIT_FOLDERS:
                path = self.paths.on_host(self.paths.resolve(f"{folder}/{name}", follow_last=False))
                if os.path.lexists(path):
                    return path
        return None

    def _is_wanted(self) -> bool:
        return any(
            self.paths.find(f"{folder}/*.{relation}/{self.unit}")
            for folder in UNIT_FOLDERS
            for relation in ("wants", "requires", "upholds")
        ) or any(self._aliases())

    def _aliases(self) -> list[str]:
        configured = UNIT_FOLDERS[0]
        return [
            path
            for path in self.paths.find(f"{configured}/*")
            if (host_path := self.paths.on_host(self.paths.resolve(path, follow_last=False)))
            and host_path.is_symlink()
            and host_path.readlink().name == self.unit
            and host_path.name != self.unit
        ]

    def _is_installable(self, fragment: Path) -> bool:
        return INSTALL_SECTION.search(fragment.read_bytes()) is not None
