# SPDX-License-Identifier: GPL-3.0-or-later
"""Payloads: layers that carry one large file, so that a change elsewhere never packs it again."""

from collections.abc import Iterator, Mapping
from dataclasses import asdict

from gnoppix_build.catalog.model import path_of_model
from gnoppix_build.catalog.private_root import PrivateRoot, path_of_root
from gnoppix_build.lock.model import LockedRoot
from gnoppix_build.plan.steps import (
    PLACED_MODE,
    Blob,
    Compression,
    Fetch,
    FetchModel,
    Layer,
    PackLayer,
    Place,
    Step,
    Unpack,
    digest_of,
)
from gnoppix_build.render.tree import RenderedTree
from gnoppix_build.resolve.models import ChosenModel


def plan_private_roots(
    tree: RenderedTree,
    roots: tuple[LockedRoot, ...],
    inputs: Mapping[str, str],
    packing: Mapping[str, str],
    compression: Compression,
) -> Iterator[tuple[Step, ...]]:
    """Plan a layer for each private root; the last step of each packs the layer."""
    for locked in roots:
        root = tree.private_roots[locked.component]
        steps = plan_root(locked, root, inputs, packing, compression)
        layer, path = layer_of_root(locked.component), path_of_root(locked.component)
        yield (*steps, *place_file(layer, path, steps[-1], inputs, packing))


def layer_of_root(component: str) -> Layer:
    """Name the layer that carries a component's private root."""
    return f"root-{component}"


def step_of_root(component: str) -> str:
    """Name the step that packs a component's private root as a file."""
    return f"pack {layer_of_root(component)} root"


def plan_root(
    locked: LockedRoot,
    root: PrivateRoot,
    inputs: Mapping[str, str],
    packing: Mapping[str, str],
    compression: Compression,
) -> tuple[Step, Step, Step]:
    """Plan a private root as a file; the last step packs it."""
    layer = layer_of_root(locked.component)
    packages = digest_of([asdict(package) for package in locked.packages])
    fetch = Step(
        f"fetch {layer}",
        Fetch(layer, locked.packages),
        f"{len(locked.packages)} packages of {locked.suite}",
        {"packages": packages},
    )
    unpack = Step(
        f"unpack {layer}",
        Unpack(layer, locked.packages, root),
        f"what `{locked.component}` runs in, apart from the system",
        {**inputs, **packing, "packages": packages, "root": digest_of(root.model_dump())},
    )
    pack = Step(
        step_of_root(locked.component),
        PackLayer(layer, unpack.id, compression),
        "a squashfs for RootImage=",
        {**packing, "compression": compression, "tree": unpack.digest},
    )
    return fetch, unpack, pack


def plan_models(
    models: tuple[ChosenModel, ...], inputs: Mapping[str, str], packing: Mapping[str, str]
) -> Iterator[tuple[Step, ...]]:
    """Plan a layer for each model; the last step of each packs the layer."""
    for model in models:
        layer = f"model-{model.name}"
        fetch = Step(
            f"fetch {layer}",
            FetchModel(layer, model),
            f"{model.size} bytes, {model.declaration.licence}",
            {"model": model.sha256},
        )
        blob = Blob(model.name, model.size, model.sha256)
        path = path_of_model(model.name)
        yield (fetch, *place_file(layer, path, blob, inputs, packing))


def place_file(
    layer: Layer,
    path: str,
    content: Blob | Step,
    inputs: Mapping[str, str],
    packing: Mapping[str, str],
) -> tuple[Step, Step]:
    """Plan the layer that carries a file at this path of the image: a blob, or a step's result."""
    source = content.sha256 if isinstance(content, Blob) else content.digest
    place = Step(
        f"place {layer}",
        Place(layer, path, content if isinstance(content, Blob) else content.id),
        f"as `{path}`",
        {**inputs, "content": source, "mode": f"{PLACED_MODE:o}", "path": path},
    )
    pack = Step(
        f"pack {layer}",
        PackLayer(layer, place.id, "stored"),
        "a layer of its own",
        {**inputs, **packing, "compression": "stored", "tree": place.digest},
    )
    return place, pack
