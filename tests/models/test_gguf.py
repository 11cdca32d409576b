# SPDX-License-Identifier: GPL-3.0-or-later
"""GGUF headers: what is read of them, and that hostile ones end in one kind of error."""

import io
import struct
from contextlib import suppress
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from model_files import FIGURES, TINY_BYTES, make_model, write_header, write_text

from gnoppix_build.catalog.gguf import MalformedGguf, check_header, read_header
from gnoppix_build.diagnostics import format_diagnostic


def test_header_of_a_real_file_is_read() -> None:
    header = read_header(io.BytesIO(TINY_BYTES))
    assert header["general.architecture"] == "llama"
    assert header["general.license"] == "CC0-1.0"
    assert header["llama.block_count"] == 2
    assert header["llama.context_length"] == 128
    assert "tokenizer.ggml.tokens" not in header


def test_header_is_held_against_every_figure_of_the_manifest(tmp_path: Path) -> None:
    header = read_header(io.BytesIO(TINY_BYTES))
    model = make_model(tmp_path, "{path: one.gguf}")
    assert list(check_header(model.declaration, header, model.component.root)) == []
    wrong = {
        "architecture": "qwen3",
        "context": "129",
        "head-dim": "23",
        "kv-heads": "2",
        "layers": "3",
        "quantisation": "F16",
        "width": "97",
    }
    assert wrong.keys() == FIGURES.keys()
    model = make_model(tmp_path, "{path: one.gguf}", figures=wrong)
    manifest = tmp_path / "components" / "one" / "component.yaml"
    sources = {str(manifest): manifest.read_text()}
    mistakes = list(check_header(model.declaration, header, model.component.root))
    assert [each.message for each in sorted(mistakes, key=lambda each: each.message)] == [
        "`architecture` is `qwen3` here, and the model's file says `llama`",
        "`context` is `129` here, and the model's file says `128`",
        "`head-dim` is `23` here, and the model's file says `24`",
        "`kv-heads` is `2` here, and the model's file says `4`",
        "`layers` is `3` here, and the model's file says `2`",
        "`quantisation` is `F16` here, and the model's file says `F32`",
        "`width` is `97` here, and the model's file says `96`",
    ]
    layers = next(each for each in mistakes if "`layers`" in each.message)
    assert (
        format_diagnostic(layers, sources)
        == f"""\
{manifest}:17:11: error[model-differs]: `layers` is `3` here, and the model's file says `2`
   |
17 |   layers: 3
   |           ^
   = hint: declare what the file says, or take another file"""
    )


def test_a_shorter_context_may_be_declared(tmp_path: Path) -> None:
    header = read_header(io.BytesIO(TINY_BYTES))
    model = make_model(tmp_path, "{path: one.gguf}", figures={**FIGURES, "context": "64"})
    assert list(check_header(model.declaration, header, model.component.root)) == []


def test_layers_with_different_numbers_of_heads_count_as_the_largest() -> None:
    heads = struct.pack("<IIQ3I", 9, 4, 3, 1, 8, 2)
    pair = write_text(b"a.attention.head_count_kv") + heads
    header = read_header(io.BytesIO(write_header([pair])))
    assert header == {"a.attention.head_count_kv": (1, 8, 2)}


NUMBER = struct.pack("<II", 4, 7)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "it ends within its header"),
        (b"PK\3\4" + bytes(20), "it does not start with `GGUF`"),
        (write_header([], version=4), "version 4 of the format is not known"),
        (TINY_BYTES[:200], "it ends within its header"),
        (
            b"GGUF" + struct.pack("<IQQ", 3, 0, 2**63),
            "it claims to have 9223372036854775808 pairs",
        ),
        (
            write_header([struct.pack("<Q", 2**40)]),
            "it claims to have 1099511627776 bytes in a key",
        ),
        (write_header([write_text(b"\xff") + NUMBER]), "a key is no UTF-8"),
        (write_header([write_text(b"a") + NUMBER] * 2), "the key `a` stands twice"),
        (
            write_header([write_text(b"a") + struct.pack("<I", 99)]),
            "a value is of the unknown type 99",
        ),
        (
            write_header([write_text(b"a") + struct.pack("<IIQ", 9, 9, 1)]),
            "the elements of an array are of the unknown type 9",
        ),
        (
            write_header([write_text(b"a") + struct.pack("<IIQ", 9, 10, 2**27)]),
            "its header is longer than 134217728 bytes",
        ),
    ],
)
def test_malformed_header_is_refused(content: bytes, message: str) -> None:
    with pytest.raises(MalformedGguf) as fault:
        read_header(io.BytesIO(content))
    assert str(fault.value) == message


@given(st.binary(max_size=512))
def test_no_bytes_do_anything_but_that(content: bytes) -> None:
    for start in (b"", b"GGUF\3\0\0\0" + bytes(8)):
        with suppress(MalformedGguf):
            read_header(io.BytesIO(start + content))


@given(st.integers(0, 4000), st.integers(0, 255))
def test_no_changed_byte_of_a_real_file_does_anything_but_that(place: int, byte: int) -> None:
    changed = bytearray(TINY_BYTES[:8192])
    changed[place] = byte
    with suppress(MalformedGguf):
        read_header(io.BytesIO(changed))
