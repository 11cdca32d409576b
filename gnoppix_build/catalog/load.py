# SPDX-License-Identifier: GPL-3.0-or-later
"""The components that there are, found by the names of their folders."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from gnoppix_build.catalog.contract import check_contract, check_exposures
from gnoppix_build.catalog.features import (
    FEATURES_FILE,
    CataloguedFeature,
    FeatureFile,
    Features,
    check_feature_names,
)
from gnoppix_build.catalog.kind import Kind
from gnoppix_build.catalog.manifest import Manifest
from gnoppix_build.catalog.options import OptionValue, entry_of, read_option
from gnoppix_build.catalog.references import check_references
from gnoppix_build.diagnostics import Diagnostic, Note, Span
from gnoppix_build.language.decode import decode
from gnoppix_build.language.node import Node, child, key_span
from gnoppix_build.language.source import (
    PACKAGE_FOLDER,
    SourceReader,
    Unreadable,
    read_document,
    source_name,
)
from gnoppix_build.language.suggestion import did_you_mean

COMPONENTS_FOLDER: Final = PACKAGE_FOLDER / "components"
KINDS_FOLDER: Final = PACKAGE_FOLDER / "catalog" / "kinds"
MANIFEST_FILE: Final = "component.yaml"

_COMPONENT: Final = re.compile("[a-z][a-z0-9]*(-[a-z0-9]+)*")


@dataclass(frozen=True, slots=True)
class Component:
    """A component as it lies in its folder, with its options' defaults and examples by name.

    An option without a default has to be set.
    """

    name: str
    folder: Path
    kind: Kind
    manifest: Manifest
    root: Node
    defaults: Mapping[str, OptionValue]
    examples: Mapping[str, OptionValue]


@dataclass(frozen=True, slots=True)
class Catalog:
    """Every component by its name; `sources` maps the names of files to their texts."""

    components: Mapping[str, Component]
    kinds: Mapping[str, Kind]
    features: Features
    diagnostics: tuple[Diagnostic, ...]
    sources: Mapping[str, str]


@dataclass(slots=True)
class _Loading:
    components: dict[str, Component] = field(default_factory=dict)
    kinds: dict[str, Kind] = field(default_factory=dict)
    features: dict[str, CataloguedFeature] = field(default_factory=dict)
    diagnostics: list[Diagnostic] = field(default_factory=list)
    sources: dict[str, str] = field(default_factory=dict)


def check_file_name(component: str) -> str:
    """Name the check file in a component's folder."""
    return f"check_{component.replace('-', '_')}.py"


def load_catalog(folders: Sequence[Path], reader: SourceReader) -> Catalog:
    """Read every component in the folders, such as `COMPONENTS_FOLDER` and folders of one's own."""
    loading = _Loading()
    for file in reader.files(KINDS_FOLDER):
        if file.endswith(".yaml"):
            _load_kind(KINDS_FOLDER / file, reader, loading)
    for folder in folders:
        if FEATURES_FILE in reader.files(folder):
            _load_features(folder / FEATURES_FILE, reader, loading)
        for name in reader.folders(folder):
            if _COMPONENT.fullmatch(name):
                _load_component(folder / name, reader, loading)
    loading.diagnostics += check_feature_names(
        ((each.root, each.manifest) for each in loading.components.values()), loading.features
    )
    return Catalog(
        dict(sorted(loading.components.items())),
        loading.kinds,
        dict(sorted(loading.features.items())),
        tuple(sorted(loading.diagnostics, key=lambda each: each.span)),
        loading.sources,
    )


def _read_tree(path: Path, reader: SourceReader, loading: _Loading) -> Node | None:
    """Read a file's tree; its text is kept for messages, and its mistakes with the others."""
    document = read_document(path, reader)
    loading.sources[document.name] = document.text
    loading.diagnostics += document.diagnostics
    return document.root


def _load_kind(path: Path, reader: SourceReader, loading: _Loading) -> None:
    root = _read_tree(path, reader, loading)
    if root is None:
        return
    decoded = decode(root, Kind)
    loading.diagnostics += decoded.diagnostics
    if decoded.value:
        loading.kinds[path.stem] = decoded.value


def _load_features(path: Path, reader: SourceReader, loading: _Loading) -> None:
    root = _read_tree(path, reader, loading)
    if root is None:
        return
    decoded = decode(root, FeatureFile)
    loading.diagnostics += decoded.diagnostics
    for name, feature in decoded.value.features.items() if decoded.value else ():
        if other := loading.features.get(name):
            message = f"there are two features `{name}`"
            place = key_span(root, ("features", name))
            note = Note("the other one", other.node.span)
            loading.diagnostics.append(Diagnostic("feature-twice", message, place, (note,)))
            continue
        features = child(root, "features")
        node = child(features, name) if features else None
        assert node is not None, "the feature was read from this tree"
        loading.features[name] = CataloguedFeature(name, feature, node)


def _load_component(folder: Path, reader: SourceReader, loading: _Loading) -> None:
    name = folder.name
    path = folder / MANIFEST_FILE
    start = Span(source_name(path), 1, 1, 1, 1)
    if isinstance(content := reader.read(path), Unreadable) and content.is_missing:
        message = f"the folder `{name}` holds no `{MANIFEST_FILE}`"
        loading.diagnostics.append(
            Diagnostic("manifest-missing", message, start, severity="warning")
        )
        return
    root = _read_tree(path, reader, loading)
    if root is None:
        return
    if other := loading.components.get(name):
        note = Note("the other one", other.root.span)
        message = f"there are two components `{name}`"
        loading.diagnostics.append(Diagnostic("component-twice", message, start, (note,)))
        return
    decoded = decode(root, Manifest)
    loading.diagnostics += decoded.diagnostics
    if decoded.value is None or decoded.diagnostics:
        return
    component = _check_component(name, folder, decoded.value, root, reader.folders(folder), loading)
    if component:
        loading.components[name] = component


def _check_component(
    name: str,
    folder: Path,
    manifest: Manifest,
    root: Node,
    folders: Sequence[str],
    loading: _Loading,
) -> Component | None:
    before = len(loading.diagnostics)
    kind = loading.kinds.get(manifest.kind)
    if kind is None:
        place = child(root, "kind") or root
        loading.diagnostics.append(
            Diagnostic(
                "unknown-kind",
                f"there is no kind `{manifest.kind}`",
                place.span,
                (),
                did_you_mean(manifest.kind, loading.kinds),
            )
        )
    else:
        loading.diagnostics += check_contract(manifest.kind, kind, manifest, root, folders)
    values: dict[str, dict[str, OptionValue]] = {"default": {}, "example": {}}
    options = child(root, "options")
    for key, option in manifest.options.items():
        assert options is not None, "the manifest was read from this tree"
        written = child(options, key)
        assert written is not None, "the option was read from this tree"
        for part, known in values.items():
            entry = entry_of(written, part)
            if entry is None:
                continue
            value, mistakes = read_option(option, entry)
            loading.diagnostics += mistakes
            if value is not None:
                known[key] = value
    loading.diagnostics += check_exposures(manifest, root)
    loading.diagnostics += check_references(manifest, root)
    if kind is None or len(loading.diagnostics) > before:
        return None
    return Component(name, folder, kind, manifest, root, values["default"], values["example"])
