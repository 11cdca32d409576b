# SPDX-License-Identifier: GPL-3.0-or-later
"""A model that gives vectors reads a text in one batch, and says how long one may be."""

import json
from pathlib import Path

import pytest

from gnoppix_build.catalog.load import COMPONENTS_FOLDER, load_catalog
from gnoppix_build.catalog.model import MIB, need
from gnoppix_build.effects.sources import SourceFolders
from gnoppix_build.language.source import PACKAGE_FOLDER
from gnoppix_build.render.configuration import render_configuration
from gnoppix_build.resolve.resolve import resolve

MODEL = "qwen3-embedding-0-6b"
PROFILE = """\
version: 1
name: vectors
components:
  debian-base: {{}}
  llama-cpp: {{}}
  {model}:
    bytes: 633000000
    commit: {commit}
    context: {context}
    sha256: {sha256}
"""


@pytest.mark.parametrize(("context", "batch", "longest"), [(256, 512, 256), (8192, 2048, 2048)])
def test_text_has_to_fit_into_a_batch(
    tmp_path: Path, context: int, batch: int, longest: int
) -> None:
    profile = tmp_path / "vectors.yaml"
    profile.write_text(
        PROFILE.format(model=MODEL, commit="c" * 40, context=context, sha256="d" * 64)
    )
    reader = SourceFolders([PACKAGE_FOLDER, tmp_path])
    resolution = resolve(profile, load_catalog([COMPONENTS_FOLDER], reader), reader, "image")
    assert resolution.resolved is not None, resolution.diagnostics
    files = {each.path: each.content for each in render_configuration(resolution.resolved, reader)}
    unit = files[f"/etc/systemd/system/llama-cpp@{MODEL}.service.d/50-gnoppix.conf"].decode()
    assert f"Environment=LLAMA_ARG_BATCH={batch}\n" in unit
    assert f"Environment=LLAMA_ARG_UBATCH={batch}\n" in unit
    (endpoint,) = json.loads(files["/usr/share/gnoppix/llm/endpoints.d/llama-cpp.json"])
    assert (endpoint["context"], endpoint["embeddings"]) == (longest, True)


def test_memory_for_a_long_text_is_counted() -> None:
    """SmolLM2, made to give vectors: 2001 tokens in one batch took 132.9 MiB beside its weights."""
    catalog = load_catalog([COMPONENTS_FOLDER], SourceFolders([PACKAGE_FOLDER]))
    model = catalog.components["smollm2-135m"].manifest.model
    assert model is not None
    vectors = model.model_copy(update={"purpose": "embedding"})
    needed = need(vectors, 0, 2048).total / MIB
    assert 132.9 < needed < 145
