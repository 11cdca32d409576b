# SPDX-License-Identifier: GPL-3.0-or-later
"""Planning: which steps make an image of a rendered tree, and what each depends on."""

import hashlib
from collections.abc import Mapping
from dataclasses import asdict, dataclass

from gnoppix_build.catalog.private_root import PrivateRoot
from gnoppix_build.lock.model import Lock, PackageSet
from gnoppix_build.plan.payloads import plan_models, plan_private_roots, plan_root
from gnoppix_build.plan.steps import (
    Apply,
    Bootstrap,
    Compression,
    Fetch,
    Install,
    Layer,
    MakeInitrd,
    PackLayer,
    PackOutput,
    Plan,
    Step,
    digest_of,
)
from gnoppix_build.render.initrd import INITRD_READS
from gnoppix_build.render.tree import ImageFile, RenderedTree


@dataclass(frozen=True, slots=True)
class ToolVersions:
    """What on the build host shapes a result and is not in the tools tree."""

    gnoppix_build: str
    ansible: str


def make_plan(
    tree: RenderedTree, lock: Lock, compression: Compression, versions: ToolVersions
) -> Plan:
    """Order the steps: tools, base, packages, payloads, configuration, initrd, image."""
    common = _common_inputs(lock, versions)
    tools = _tools_steps(lock, common)
    packing = {"tools": tools[-1].digest}
    base = _layer_steps(
        Bootstrap("base", lock.base.packages, tree.sysusers.get("base", "")),
        lock.base,
        {**common, **packing},
        packing,
        compression,
    )
    below = {"base": base[1].digest}
    install = Install(
        "packages", lock.packages.packages, tree.sysusers.get("packages", ""), ("base",)
    )
    packages = _layer_steps(install, lock.packages, {**common, **below}, packing, compression)
    below["packages"] = packages[1].digest
    configuration = _configuration_steps(
        tree, {**common, "ansible": versions.ansible, **below}, packing, compression
    )
    initrd = _initrd_step(tree, {**common, **below})
    payloads = (
        *plan_private_roots(tree, lock.private_roots, common, packing, compression),
        *plan_models(tree.models, common, packing),
    )
    layers = (base, packages, *payloads, configuration)
    image = _output_step(tree, layers, initrd, {**common, **packing})
    made = tuple(step for steps in layers for step in steps)
    steps = (*tools, *made, initrd, image)
    return Plan(tree.profile, lock.epoch, steps)


def make_roots_plan(
    profile: str,
    roots: Mapping[str, PrivateRoot],
    lock: Lock,
    compression: Compression,
    versions: ToolVersions,
) -> Plan:
    """Order the steps that make only the private roots: the very ones of an image's plan."""
    common = _common_inputs(lock, versions)
    tools = _tools_steps(lock, common)
    packing = {"tools": tools[-1].digest}
    made = (
        plan_root(locked, roots[locked.component], common, packing, compression)
        for locked in lock.private_roots
    )
    return Plan(profile, lock.epoch, (*tools, *(step for steps in made for step in steps)))


def _common_inputs(lock: Lock, versions: ToolVersions) -> Mapping[str, str]:
    return {"epoch": str(lock.epoch), "gnoppix-build": versions.gnoppix_build}


def _tools_steps(lock: Lock, common: Mapping[str, str]) -> tuple[Step, Step, Step]:
    return _layer_steps(Bootstrap("tools", lock.tools.packages, ""), lock.tools, common, {})


def _layer_steps(
    make: Bootstrap | Install,
    packages: PackageSet,
    inputs: Mapping[str, str],
    packing: Mapping[str, str],
    compression: Compression = "development",
) -> tuple[Step, Step, Step]:
    """Fetch, make and pack one layer of packages."""
    digest = digest_of([asdict(package) for package in packages.packages])
    count = len(packages.packages)
    verb = "bootstrap" if isinstance(make, Bootstrap) else "install"
    fetch = Step(
        f"fetch {make.layer}",
        Fetch(make.layer, packages.packages),
        f"{count} packages of the lock",
        {"packages": digest},
    )
    tree = Step(
        f"{verb} {make.layer}",
        make,
        f"{len(packages.wanted)} packages wanted, {count} with what they depend on",
        {**inputs, "packages": digest, "users": digest_of(make.sysusers)},
    )
    return fetch, tree, _pack_step(make.layer, tree, packing, compression)


def _pack_step(
    layer: Layer, tree: Step, packing: Mapping[str, str], compression: Compression
) -> Step:
    own = {key: value for key, value in tree.inputs.items() if key not in packing}
    inputs = {**own, **packing, "compression": compression, "tree": tree.digest}
    return Step(
        f"pack {layer}",
        PackLayer(layer, tree.id, compression),
        f"a squashfs of its own ({compression})",
        inputs,
    )


def _configuration_steps(
    tree: RenderedTree,
    inputs: Mapping[str, str],
    packing: Mapping[str, str],
    compression: Compression,
) -> tuple[Step, Step]:
    files = {file.path: _digest_of_file(file) for file in tree.configuration}
    others = {
        path: hashlib.sha256(content).hexdigest()
        for path, content in tree.files.items()
        if not path.startswith("project/files/")
    }
    apply = Step(
        "apply configuration",
        Apply("configuration", tree.files, ("base", "packages")),
        f"{len(files)} files, and the units that they belong to",
        {**inputs, **files, **others},
    )
    return apply, _pack_step("configuration", apply, packing, compression)


def _initrd_step(tree: RenderedTree, inputs: Mapping[str, str]) -> Step:
    files = tuple(file for file in tree.configuration if is_read_by_initrd(file.path))
    return Step(
        "make initrd",
        MakeInitrd(files, ("base", "packages")),
        f"of the kernel in the base and {len(files)} configuration files",
        {**inputs, **{file.path: _digest_of_file(file) for file in files}},
    )


def _output_step(
    tree: RenderedTree,
    layers: tuple[tuple[Step, ...], ...],
    initrd: Step,
    inputs: Mapping[str, str],
) -> Step:
    volume_id = "".join(char if char.isalnum() else "_" for char in tree.profile.upper())[:32]
    packed = {_layer_of(steps): steps[-1].digest for steps in layers}
    return Step(
        "pack iso",
        PackOutput(volume_id, tree.kernel_arguments, tuple(packed)),
        "a hybrid ISO for BIOS and UEFI",
        {
            **inputs,
            **{f"{name} layer": digest for name, digest in packed.items()},
            "initrd": initrd.digest,
            "kernel arguments": digest_of(list(tree.kernel_arguments)),
            "volume id": volume_id,
        },
    )


def _layer_of(steps: tuple[Step, ...]) -> Layer:
    """Name the layer that the last of these steps packs."""
    action = steps[-1].action
    assert isinstance(action, PackLayer), steps[-1].id
    return action.layer


def is_read_by_initrd(path: str) -> bool:
    """Tell whether a configuration file may end up in, or decide about, the initrd."""
    return path.startswith(INITRD_READS) or (
        path.startswith(("/etc/systemd/network/", "/usr/lib/systemd/network/"))
        and path.endswith(".link")
    )


def _digest_of_file(file: ImageFile) -> str:
    content = hashlib.sha256(file.content).hexdigest()
    return digest_of([file.path, content, file.mode, file.owner, file.group])
