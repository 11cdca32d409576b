# SPDX-License-Identifier: GPL-3.0-or-later
"""Libraries that do nothing: the real loader takes them, versions included."""

import ctypes
import os
import subprocess
from pathlib import Path

import pytest

from gnoppix_build.effects.stand_in import functions_wanted, needed_libraries, write_stand_in

VERSIONS = {"ONE_1.0": frozenset({"first", "second"}), "ONE_2.0": frozenset({"third"})}


def test_stand_in_is_loaded_and_gives_zero(tmp_path: Path) -> None:
    file = tmp_path / "libone.so.1"
    file.write_bytes(write_stand_in(file.name, VERSIONS))
    library = ctypes.CDLL(str(file))
    assert [getattr(library, name)(7) for name in ("first", "second", "third")] == [0, 0, 0]
    with pytest.raises(AttributeError):
        _ = library.fourth


def test_stand_in_is_the_same_each_time() -> None:
    assert write_stand_in("libone.so.1", VERSIONS) == write_stand_in("libone.so.1", {**VERSIONS})


def test_stand_in_has_the_versions_that_it_was_given(tmp_path: Path) -> None:
    """The loader finds a function by its version: dlvsym(3) of the host's own C library."""
    file = tmp_path / "libone.so.1"
    file.write_bytes(write_stand_in(file.name, VERSIONS))
    script = (
        "import ctypes, sys\n"
        "one = ctypes.CDLL(sys.argv[1])\n"
        "find = ctypes.CDLL(None).dlvsym\n"
        "find.restype = ctypes.c_void_p\n"
        "find.argtypes = [ctypes.c_void_p, ctypes.c_char_p, ctypes.c_char_p]\n"
        "print(*(bool(find(one._handle, name, version)) for name, version in\n"
        "    ((b'first', b'ONE_1.0'), (b'third', b'ONE_2.0'), (b'third', b'ONE_1.0'))))\n"
    )
    done = subprocess.run(
        ("/usr/bin/python3", "-c", script, file), check=True, capture_output=True, text=True
    )
    assert (done.stdout, done.stderr) == ("True True False\n", "")


def test_wants_are_read_from_a_real_program() -> None:
    program = Path(os.path.realpath("/bin/true"))
    assert "libc.so.6" in needed_libraries(program)
    wanted = functions_wanted([program], "libc.so.6")
    assert "exit" in wanted["GLIBC_2.2.5"]
    assert functions_wanted([program], "libssl.so.3") == {}


def test_a_text_needs_no_library(tmp_path: Path) -> None:
    (tmp_path / "text").write_text("#!/bin/sh\n")
    assert needed_libraries(tmp_path / "text") == ()
