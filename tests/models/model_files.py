# SPDX-License-Identifier: GPL-3.0-or-later
"""Models of the tests: components that name a file, and GGUF headers written by hand."""

import hashlib
import struct
from collections.abc import Mapping
from pathlib import Path

from gnoppix_build.app.profile import load_shipped_catalog
from gnoppix_build.catalog.load import COMPONENTS_FOLDER
from gnoppix_build.effects.sources import SourceFolders
from gnoppix_build.language.source import PACKAGE_FOLDER
from gnoppix_build.resolve.models import ChosenModel, find_models
from gnoppix_build.resolve.resolve import Resolution, resolve

TINY = COMPONENTS_FOLDER / "tiny-echo" / "tiny-echo.gguf"
TINY_BYTES = TINY.read_bytes()
FIGURES = {
    "architecture": "llama",
    "context": "128",
    "head-dim": "24",
    "kv-heads": "4",
    "layers": "2",
    "quantisation": "F32",
    "width": "96",
}
MANIFEST = """\
kind: ai-model
summary: A model of the tests
targets: [image]
model:
  format: gguf
  source: {source}
  bytes: {size}
  sha256: {sha256}
  licence: CC0-1.0
  purpose: test
  languages: [en]
  parameters: 271584
{figures}
"""


def resolve_components(folder: Path, manifests: Mapping[str, str], profile: str) -> Resolution:
    """Resolve a profile's text with components of its own beside the shipped ones."""
    for name, manifest in manifests.items():
        (folder / "components" / name).mkdir(parents=True, exist_ok=True)
        (folder / "components" / name / "component.yaml").write_text(manifest)
    (folder / "p.yaml").write_text(profile)
    reader = SourceFolders([PACKAGE_FOLDER, folder])
    catalog = load_shipped_catalog([folder / "components"], reader)
    return resolve(folder / "p.yaml", catalog, reader, "image")


def make_model(
    folder: Path, source: str, content: bytes = TINY_BYTES, figures: Mapping[str, str] = FIGURES
) -> ChosenModel:
    """Choose a model that claims to have this content; `source` is written as YAML."""
    manifest = MANIFEST.format(
        source=source,
        size=len(content),
        sha256=hashlib.sha256(content).hexdigest(),
        figures="\n".join(f"  {key}: {value}" for key, value in figures.items()),
    )
    resolution = resolve_components(
        folder, {"one": manifest}, "version: 1\nname: p\ncomponents: {one: {}}\n"
    )
    assert resolution.resolved is not None, resolution.diagnostics
    (model,) = find_models(resolution.resolved.components)
    return model


def write_text(text: bytes) -> bytes:
    """Write a string as GGUF does."""
    return struct.pack("<Q", len(text)) + text


def write_header(pairs: list[bytes], *, version: int = 3) -> bytes:
    """Write the start of a GGUF file that has these pairs."""
    return b"GGUF" + struct.pack("<IQQ", version, 0, len(pairs)) + b"".join(pairs)
