# SPDX-License-Identifier: GPL-3.0-or-later
"""What models need is held against a machine, and what nobody verified is asked for."""

from pathlib import Path

import pytest
from model_files import resolve_components

from gnoppix_build.app.profile import load_shipped_catalog
from gnoppix_build.catalog.fit import budget_of, fit_models
from gnoppix_build.catalog.model import GIB, MIB
from gnoppix_build.diagnostics import format_diagnostic
from gnoppix_build.effects.sources import SourceFolders
from gnoppix_build.language.source import PACKAGE_FOLDER
from gnoppix_build.report.fit import fit_document, fit_text

HEAD = "version: 1\nname: p\n"
MODELS = "components:\n  smollm2-135m: {context: 8192}\n  tiny-echo: {}\n"


def said(folder: Path, profile: str) -> str:
    resolution = resolve_components(folder, {}, profile)
    text = "\n".join(format_diagnostic(each, resolution.sources) for each in resolution.diagnostics)
    return text.replace(f"{folder}/", "")


def test_machine_that_cannot_hold_its_models_is_refused_with_the_sum(tmp_path: Path) -> None:
    assert (
        said(tmp_path, f"{HEAD}machine: {{memory: 853 MiB}}\n{MODELS}")
        == """\
p.yaml:3:19: error[memory-too-small]: 853.0 MiB of memory are too little for the models, which \
take 341.9 MiB, and the system, for which 512.0 MiB are assumed
  |
3 | machine: {memory: 853 MiB}
  |                   ^^^^^^^
  = note: p.yaml:5:27: `smollm2-135m` with 8192 tokens takes 314.8 MiB of memory: weights 93.8 \
MiB, cache 180.0 MiB, overhead 41.0 MiB
  = note: p.yaml:6:3: `tiny-echo` with 128 tokens takes 27.1 MiB of memory: weights 1.0 MiB, \
cache 0.1 MiB, overhead 26.0 MiB
  = hint: say `memory: 1 GiB`, or take a smaller model or `context`"""
    )


@pytest.mark.parametrize("machine", ["machine: {memory: 854 MiB}\n", ""])
def test_machine_that_holds_them_or_that_nobody_declares_is_not(
    tmp_path: Path, machine: str
) -> None:
    assert said(tmp_path, f"{HEAD}{machine}{MODELS}") == ""


@pytest.mark.parametrize("context", ["129", "0", "-1"])
def test_context_that_the_model_does_not_have_is_refused(tmp_path: Path, context: str) -> None:
    profile = f"{HEAD}components:\n  tiny-echo: {{context: {context}}}\n"
    assert said(tmp_path, profile).startswith(
        f"p.yaml:4:24: error[context-out-of-range]: `tiny-echo` keeps 1 to 128 tokens, "
        f"not {context}\n"
    )


def test_model_that_nobody_verified_is_refused_until_the_profile_tells_its_digest(
    tmp_path: Path,
) -> None:
    text = said(tmp_path, f"{HEAD}components:\n  qwen3-0-6b: {{}}\n")
    assert text.count("error[missing-option]") == 3
    assert (
        "p.yaml:4:3: error[missing-option]: `qwen3-0-6b` has to be told its `sha256`: The SHA-256 "
        "digest of the model's file, which the hub shows in the file's pointer\n" in text
    )
    told = f"{{bytes: 639446688, commit: {'1' * 40}, sha256: {'2' * 64}}}"
    assert said(tmp_path, f"{HEAD}components:\n  qwen3-0-6b: {told}\n") == ""
    branch = f"{{bytes: 639446688, commit: main, sha256: {'2' * 64}}}"
    assert "error[wrong-form]" in said(tmp_path, f"{HEAD}components:\n  qwen3-0-6b: {branch}\n")


def test_every_shipped_model_says_how_its_bytes_are_known() -> None:
    """A digest stands here only where the file was fetched: a wheel's, or a file's beside it."""
    catalog = load_shipped_catalog((), SourceFolders([PACKAGE_FOLDER])).components
    models = {name: each.manifest.model for name, each in catalog.items() if each.manifest.model}
    verified = {name for name, model in models.items() if model.is_verified}
    assert verified == {"smollm2-135m", "tiny-echo"}
    purposes = {model.purpose for name, model in models.items() if name not in verified}
    assert purposes == {"instruct", "reasoning", "embedding", "code"}
    for name, model in models.items():
        assert name in verified or 494 * 10**6 <= model.parameters <= 8.2 * 10**9, name


def test_largest_of_a_purpose_is_chosen_that_leaves_memory_for_work() -> None:
    catalog = load_shipped_catalog((), SourceFolders([PACKAGE_FOLDER])).components
    manifests = {name: each.manifest for name, each in catalog.items()}
    assert budget_of(8 * GIB) == 4608 * MIB
    fits = fit_models(manifests, 8 * GIB)
    assert [fit.need.total for fit in fits] == sorted(fit.need.total for fit in fits)
    assert all(fit.fits == (fit.need.total <= budget_of(8 * GIB)) for fit in fits)
    assert {fit.model.purpose: fit.name for fit in fits if fit.is_chosen} == {
        "code": "qwen2-5-coder-1-5b",
        "embedding": "qwen3-embedding-4b",
        "instruct": "qwen3-4b-instruct",
        "reasoning": "qwen3-1-7b",
    }
    assert not any(fit.is_chosen for fit in fit_models(manifests, 512 * MIB))


def test_fits_are_told_as_a_table_and_as_json() -> None:
    catalog = load_shipped_catalog((), SourceFolders([PACKAGE_FOLDER])).components
    names = ("qwen3-0-6b", "smollm2-135m")
    fits = fit_models({name: catalog[name].manifest for name in names}, GIB)
    assert (
        fit_text(fits, GIB)
        == """\
1.0 GiB of memory, less 512.0 MiB for the system; models may take 60 % of the rest: 307.2 MiB

model         purpose    licence     tokens  weights     cache      overhead  sum
smollm2-135m  instruct   Apache-2.0  2048    93.8 MiB    45.0 MiB   41.0 MiB  179.8 MiB  take it
qwen3-0-6b    reasoning  Apache-2.0  4096    ~604.0 MiB  448.0 MiB  55.0 MiB  ~1.1 GiB   too large

the largest that fit: instruct: smollm2-135m
`~`: the size of the file is an estimate; a profile has to tell it with the digest
"""
    )
    document = fit_document(fits, GIB)
    assert document["budget"] == 307 * MIB + MIB // 5
    assert document["models"][0] == {
        "name": "smollm2-135m",
        "purpose": "instruct",
        "licence": "Apache-2.0",
        "context": 2048,
        "is_verified": True,
        "weights": 98362432,
        "kv": 47185920,
        "overhead": 42991616,
        "total": 188539968,
        "fits": True,
        "is_chosen": True,
    }
