# SPDX-License-Identifier: GPL-3.0-or-later
"""How a machine's kernel gets its arguments: the boot loader's files, and who writes its menu."""

import subprocess
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from typing import Any

import pytest

from gnoppix_build.catalog.load import COMPONENTS_FOLDER, load_catalog
from gnoppix_build.effects.sources import SourceFolders
from gnoppix_build.render.configuration import render_configuration
from gnoppix_build.resolve.resolve import resolve

ROOT = Path(__file__).parents[2]
ROLE = ROOT / "playbooks/roles/apply_component"
GRUB_FILE = "/etc/default/grub.d/60-gnoppix-hardening.cfg"
PROFILE = """\
version: 1
name: box
components:
  apparmor: {}
  hardening: {}
  memory-hygiene: {}
"""


@pytest.fixture
def units() -> Any:
    """Give the role's module; each time a new one."""
    spec = spec_from_file_location("gnoppix_units", ROLE / "module_utils/gnoppix_units.py")
    assert spec is not None
    assert spec.loader is not None
    module = module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def written(units: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Put a program in the place of update-grub, which says so in the file that is given."""
    program, written = tmp_path / "update-grub", tmp_path / "menu"
    program.write_text(f"#!/bin/sh\necho menu >>{written}\n")
    program.chmod(0o755)
    monkeypatch.setattr(units, "WRITE_BOOT_MENU", str(program))
    monkeypatch.setattr(units, "is_container", lambda: False)
    return written


def test_boot_loader_gets_the_arguments_of_all_components(tmp_path: Path) -> None:
    profile = tmp_path / "box.yaml"
    profile.write_text(PROFILE)
    reader = SourceFolders([ROOT, tmp_path])
    catalog = load_catalog([COMPONENTS_FOLDER], reader)
    resolved = resolve(profile, catalog, reader, "machine").resolved
    assert resolved is not None
    files = render_configuration(resolved, reader)
    lines = ["GRUB_CMDLINE_LINUX_DEFAULT=quiet"]
    lines += [file.content.decode() for file in files if "/default/grub.d/" in file.path]
    # grub-mkconfig reads them all, in a shell.
    script = "\n".join((*lines, 'printf %s "$GRUB_CMDLINE_LINUX_DEFAULT"'))
    given = subprocess.run(["/bin/sh", "-c", script], check=True, capture_output=True, text=True)
    wanted = [
        argument
        for component in resolved.components
        for each in component.contributions
        for argument in each.kernel_arguments
    ]
    assert {"apparmor=1", "init_on_free=1", "slab_nomerge"} < {*wanted}
    assert sorted(given.stdout.split()) == sorted(("quiet", *wanted))


def test_boot_menu_is_written_when_its_files_change(units: Any, written: Path) -> None:
    assert not units.write_boot_menu(["/etc/sysctl.d/60-gnoppix-hardening.conf"])
    assert not written.exists()
    assert units.write_boot_menu([GRUB_FILE])
    assert written.read_text() == "menu\n"


def test_boot_menu_is_left_alone_in_a_container(
    units: Any, written: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(units, "is_container", lambda: True)
    assert not units.write_boot_menu([GRUB_FILE])
    assert not written.exists()


def test_boot_menu_is_no_affair_of_a_machine_without_it(units: Any, written: Path) -> None:
    Path(units.WRITE_BOOT_MENU).unlink()
    assert not units.write_boot_menu([GRUB_FILE])
    assert not written.exists()


def test_boot_menu_that_cannot_be_written_is_a_fault(units: Any, written: Path) -> None:
    Path(units.WRITE_BOOT_MENU).write_text("#!/bin/sh\necho no device for / >&2\nexit 1\n")
    with pytest.raises(units.Refused, match="update-grub: status 1: no device for /"):
        units.write_boot_menu([GRUB_FILE])
    assert not written.exists()
