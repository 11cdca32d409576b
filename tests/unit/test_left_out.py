# SPDX-License-Identifier: GPL-3.0-or-later
"""What a machine does not get, and what goes with it: nothing is left with nobody to ask."""

import textwrap
from dataclasses import replace
from pathlib import Path

from gnoppix_build.catalog.load import COMPONENTS_FOLDER, load_catalog
from gnoppix_build.diagnostics import format_diagnostic
from gnoppix_build.effects.sources import SourceFolders
from gnoppix_build.lock.model import Lock, LockedRoot, Package, PackageSet
from gnoppix_build.lock.wanted import has_roots, is_current, wanted_roots
from gnoppix_build.resolve.model import Target
from gnoppix_build.resolve.resolve import Resolution, resolve

PROJECT = Path(__file__).parents[2]
SHIPPED = PROJECT / "profiles"
DAMAGING = {"identity", "live-system", "network-identity"}
ENGINE = """\
kind: system
summary: A runtime of one's own, for images alone
targets: [image]
provides: [llm-api]
"""


def resolve_for(target: Target, folder: Path, components: str) -> Resolution:
    """Resolve a profile that may have the component `engine`."""
    (folder / "own/engine").mkdir(parents=True)
    (folder / "own/engine/component.yaml").write_text(ENGINE)
    profile = folder / "box.yaml"
    text = textwrap.indent(components, "  ")
    profile.write_text(f"version: 1\nname: box\ncomponents:\n{text}")
    reader = SourceFolders([folder, PROJECT])
    catalog = load_catalog([COMPONENTS_FOLDER, folder / "own"], reader)
    return resolve(profile, catalog, reader, target)


def test_only_what_would_damage_a_machine_is_not_for_one() -> None:
    catalog = load_catalog([COMPONENTS_FOLDER], SourceFolders([PROJECT]))
    components = catalog.components.values()
    only_images = {each.name for each in components if each.manifest.targets == ("image",)}
    assert only_images == DAMAGING


def test_machine_gets_the_models_of_its_profile() -> None:
    reader = SourceFolders([PROJECT])
    catalog = load_catalog([COMPONENTS_FOLDER], reader)
    found = resolve("ai-offline", catalog, reader, "machine", [SHIPPED]).resolved
    assert found is not None
    assert {"ask", "llama-cpp", "smollm2-135m"} <= {each.name for each in found.components}
    assert {note.split("`")[1] for note in found.notes} == DAMAGING


def test_lock_of_an_image_holds_the_private_roots_of_a_machine() -> None:
    reader = SourceFolders([PROJECT])
    catalog = load_catalog([COMPONENTS_FOLDER], reader)
    machine = resolve("ai-offline", catalog, reader, "machine", [SHIPPED]).resolved
    assert machine is not None
    (name, root), *_ = wanted_roots(machine).items()
    packages = tuple(Package(each, "1", "all", 1, "a" * 64, "p") for each in root.packages)
    of_image = PackageSet(("live-boot",), ())
    locked = LockedRoot(name, root.suite, packages)
    lock = Lock("trixie", "amd64", 7, (), of_image, of_image, PackageSet(("apt",), ()), (locked,))
    assert has_roots(lock, machine, ("apt",))
    assert not is_current(lock, machine, ("apt",))
    assert not has_roots(lock, machine, ("apt", "xorriso"))
    lacking = replace(lock, private_roots=(replace(locked, packages=packages[1:]),))
    assert not has_roots(lacking, machine, ("apt",))


def test_what_needs_only_a_component_that_is_left_out_goes_with_it(tmp_path: Path) -> None:
    found = resolve_for("machine", tmp_path, "ask: {}\nengine: {}\ntelemetry-off: {}\n").resolved
    assert found is not None
    assert [each.name for each in found.components] == ["telemetry-off"]
    assert found.notes == (
        "`ask` is left out: it needs `model-endpoint`, which only `engine` gives",
        "`engine` is left out: it does not apply to a target of type `machine`",
    )


def test_what_somebody_else_gives_too_stays(tmp_path: Path) -> None:
    components = "ask: {}\nengine: {}\nllama-cpp: {}\ntiny-echo: {}\n"
    found = resolve_for("machine", tmp_path, components).resolved
    assert found is not None
    assert [each.name for each in found.components] == ["ask", "llama-cpp", "tiny-echo"]
    assert [note.split("`")[1] for note in found.notes] == ["engine"]


def test_nobody_to_ask_is_the_same_error_for_a_machine(tmp_path: Path) -> None:
    said = []
    for target in ("image", "machine"):
        found = resolve_for(target, tmp_path / target, "ask: {}\n")
        assert found.resolved is None
        (fault,) = found.diagnostics
        said.append(format_diagnostic(fault, found.sources).replace(f"/{target}/", "/"))
    assert said[0] == said[1]
    assert "error[feature-absent]: `ask` needs `model-endpoint`" in said[0]
