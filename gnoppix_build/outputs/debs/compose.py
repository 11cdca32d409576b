# SPDX-License-Identifier: GPL-3.0-or-later
"""A rendered profile to the contents of its packages: one for each component, one for all.

They bring the very files that the image and the machine get. Source: Debian policy 6 (scripts),
10.7 (configuration files); systemd.preset(5), sysusers.d(5).
"""

import shlex
from collections.abc import Iterable, Iterator, Mapping
from pathlib import PurePath
from typing import Final

from jinja2 import StrictUndefined
from jinja2.sandbox import SandboxedEnvironment

from gnoppix_build.diagnostics import Diagnostic
from gnoppix_build.language.source import PACKAGE_FOLDER
from gnoppix_build.lock.wanted import component_packages
from gnoppix_build.outputs.debs.package import Content, Units
from gnoppix_build.render.initrd import INITRD_READS
from gnoppix_build.render.payloads import payloads_of
from gnoppix_build.render.render import component_accounts
from gnoppix_build.render.sources import ComponentReader
from gnoppix_build.render.tree import ImageFile, RenderedTree
from gnoppix_build.resolve.model import Resolved, ResolvedComponent

TEMPLATES: Final = PACKAGE_FOLDER / "outputs" / "debs"
UNIT_FOLDERS: Final = ("/etc/systemd/system/", "/usr/lib/systemd/system/")
# A second profile, and its components, take the place of the first one's.
PROFILE_ON_A_MACHINE: Final = "gnoppix-profile"
APPARMOR: Final = "/etc/apparmor.d"
BOOT_LOADER: Final = "/etc/default/grub.d/"
JOURNAL: Final = "/etc/systemd/journald.conf.d/"
ZRAM: Final = "/etc/systemd/zram-generator.conf"
PYTHON: Final = b"#!/usr/bin/python3"
# What every Debian system has is no dependency. Source: Debian policy 3.8, 7.3.1.
ESSENTIAL: Final = frozenset(
    "base-files base-passwd bash bsdutils coreutils dash debianutils diffutils dpkg findutils grep "
    "gzip hostname init-system-helpers libc-bin ncurses-base ncurses-bin perl-base sed "
    "sysvinit-utils tar util-linux".split()
)
# Lintian's tag -> the paths that it is about: a profile's configuration is the administrator's own.
ADMINISTRATORS_PATHS: Final = {
    "misplaced-systemd-tmpfiles": "/etc/tmpfiles.d/",
    "package-installs-apt-preferences": "/etc/apt/preferences.d/",
    "systemd-service-in-odd-location": "/etc/systemd/system/",
    "udev-rule-in-etc": "/etc/udev/rules.d/",
}
SCRIPTS: Final = ("preinst", "postinst", "prerm", "postrm")


def compose_packages(
    resolved: Resolved, tree: RenderedTree, reader: ComponentReader
) -> tuple[Content, ...]:
    """Give the packages of a profile for machines, those that others need first."""
    writer = _Writer(resolved, reader)
    accounts = component_accounts(resolved)
    components = tuple(
        writer.component(component, tree.configuration, accounts[component.name])
        for component in resolved.components
    )
    return (*components, writer.profile(components, tree.configuration))


def check_packages(resolved: Resolved, reader: ComponentReader) -> Iterator[Diagnostic]:
    """Find what no package can hold: tasks, which are Ansible's, and payloads."""
    for component in resolved.components:
        for path in payloads_of(component):
            yield Diagnostic(
                "payload-in-package",
                f"`{component.name}` brings `{path}`, and packages hold configuration only",
                component.place,
                (),
                f"leave `{component.name}` out, or bring the profile by `provision`",
            )
        if any(reader.files_below(component.folder / "tasks")):
            yield Diagnostic(
                "tasks-in-package",
                f"`{component.name}` has tasks for Ansible, which no Debian package can hold",
                component.place,
                (),
                f"leave `{component.name}` out, or apply the profile by Ansible",
            )


class _Writer:
    """Writes the packages of one profile."""

    def __init__(self, resolved: Resolved, reader: ComponentReader) -> None:
        self._resolved = resolved
        self._prefix = f"gnoppix-{resolved.name.replace('_', '-')}"
        self._environment = SandboxedEnvironment(
            undefined=StrictUndefined,
            autoescape=False,
            keep_trailing_newline=True,
            lstrip_blocks=True,
            trim_blocks=True,
        )
        self._environment.filters["quote"] = shlex.quote
        self._templates = {
            file.path: file.content.decode() for file in reader.files_below(TEMPLATES)
        }

    def component(
        self, component: ResolvedComponent, files: Iterable[ImageFile], accounts: str
    ) -> Content:
        """Put a component's files and units into a package."""
        name = self._name_of(component)
        brought = [file for file in files if file.origin == component.name]
        units = _units_of(component, brought)
        places = {
            "accounts": f"/usr/lib/sysusers.d/{name}.conf" if accounts else "",
            "preset": f"/usr/lib/systemd/system-preset/50-{name}.preset",
        }
        if accounts:
            brought.append(_own_file(places["accounts"], accounts, name))
        if units.preset:
            brought.append(_own_file(places["preset"], _preset(units), name))
        if tags := _overridden(brought):
            text = self._render("lintian-overrides.j2", {"package": name, "tags": tags})
            brought.append(_own_file(f"/usr/share/lintian/overrides/{name}", text, name))
        variables = {
            "package": name,
            "accounts": places["accounts"],
            "states": "".join(f"{verb} {unit}\n" for verb, unit in _states(units)),
            "own": shlex.join(unit for unit in units.enable if unit in units.own),
            "mask": shlex.join(units.mask),
            "foreign": shlex.join(units.foreign),
            "conffiles": shlex.join(f.path for f in brought if f.path.startswith("/etc/")),
        }
        summary = component.manifest.summary
        return Content(
            name=name,
            summary=f"{component.name} of the profile {self._resolved.name}",
            description=summary,
            files=(*brought, self._copyright(name)),
            depends=_depends(component, brought),
            siblings=tuple(self._name_of(each) for each in self._required_by(component)),
            scripts={script: self._render(f"{script}.j2", variables) for script in SCRIPTS},
            exact=False,
            stands_for=f"gnoppix-component-{component.name}",
        )

    def profile(self, components: Iterable[Content], files: Iterable[ImageFile]) -> Content:
        """Make the package that wants those of all components, and starts what they bring."""
        paths = [file.path for file in files]
        contributions = [part for each in self._resolved.components for part in each.contributions]
        variables = {
            "package": self._prefix,
            "apparmor_profiles": shlex.join(
                p for p in paths if str(PurePath(p).parent) == APPARMOR
            ),
            "has_boot_loader_files": any(path.startswith(BOOT_LOADER) for path in paths),
            "has_initrd_files": any(path.startswith(INITRD_READS) for path in paths),
            "has_journal_files": any(path.startswith(JOURNAL) for path in paths),
            "has_zram_files": any(path.startswith(ZRAM) for path in paths),
            "enabled": shlex.join(sorted({u for each in contributions for u in each.units.enable})),
            "tmpfiles": shlex.join(path for path in paths if path.startswith("/etc/tmpfiles.d/")),
        }
        return Content(
            name=self._prefix,
            summary=f"machine of the profile {self._resolved.name}",
            description=self._resolved.summary or self._resolved.name,
            files=(self._copyright(self._prefix),),
            depends=tuple(sorted(self._resolved.packages)),
            siblings=tuple(each.name for each in components),
            scripts={"postinst": self._render("profile-postinst.j2", variables)},
            exact=True,
            stands_for=PROFILE_ON_A_MACHINE,
        )

    def _required_by(self, component: ResolvedComponent) -> Iterator[ResolvedComponent]:
        needed = {*component.manifest.requires}
        return (each for each in self._resolved.components if needed & each.offers)

    def _name_of(self, component: ResolvedComponent) -> str:
        return f"{self._prefix}-{component.name}"

    def _copyright(self, package: str) -> ImageFile:
        text = self._render("copyright.j2", {})
        return _own_file(f"/usr/share/doc/{package}/copyright", text, package)

    def _render(self, template: str, variables: Mapping[str, object]) -> str:
        return self._environment.from_string(self._templates[template]).render(variables)


def _depends(component: ResolvedComponent, files: Iterable[ImageFile]) -> tuple[str, ...]:
    interpreters = {"python3" for file in files if file.content.startswith(PYTHON)}
    wanted = {"systemd", *interpreters, *component_packages(component)}
    return tuple(sorted(wanted - ESSENTIAL))


def _overridden(files: Iterable[ImageFile]) -> tuple[str, ...]:
    paths = [file.path for file in files]
    return tuple(
        tag
        for tag, folder in ADMINISTRATORS_PATHS.items()
        if any(path.startswith(folder) for path in paths)
    )


def _units_of(component: ResolvedComponent, files: Iterable[ImageFile]) -> Units:
    paths = {file.path for file in files}
    contributions = [each.units for each in component.contributions]
    chosen = {
        verb: tuple(sorted({unit for each in contributions for unit in getattr(each, verb)}))
        for verb in ("enable", "disable", "mask")
    }
    own = {unit for unit in chosen["enable"] if {*_places_of(unit)} & paths}
    return Units(**chosen, own=frozenset(own))


def _places_of(unit: str) -> Iterator[str]:
    """Give the paths of a unit's file, or of its template's."""
    stem, at, rest = unit.partition("@")
    name = f"{stem}@.{rest.rpartition('.')[2]}" if at else unit
    return (f"{folder}{name}" for folder in UNIT_FOLDERS)


def _states(units: Units) -> Iterator[tuple[str, str]]:
    """Give what systemctl(1) is told of each unit."""
    for unit in units.mask:
        yield "mask", unit
    for unit in units.preset:
        yield ("enable" if unit in units.own else "preset"), unit


def _preset(units: Units) -> str:
    lines = [f"enable {unit}" for unit in units.enable]
    lines += [f"disable {unit}" for unit in units.disable]
    return "".join(f"{line}\n" for line in lines)


def _own_file(path: str, text: str, origin: str) -> ImageFile:
    return ImageFile(path, text.encode(), 0o644, "root", "root", origin)
