# SPDX-License-Identifier: GPL-3.0-or-later
"""Stand-ins: shared libraries whose functions do nothing, for those that are never called.

A program that binds all its symbols at its start needs a library to be there even if it never
calls it. Source: System V ABI (gABI), chapters 4 and 5; LSB Core, "Symbol Versioning".
"""

import struct
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Final

# pyelftools is imported where it is used: what only renders or plans does without it.

Versions = Mapping[str, frozenset[str]]
"""Version of a library's interface -> the functions of it."""

_MACHINE: Final = 62  # x86-64
_RETURN_ZERO: Final = b"\x31\xc0\xc3"  # xor eax, eax; ret
_HEADER_BYTES: Final = 64 + 3 * 56
_SYMBOL_BYTES: Final = 24
_DT: Final = {
    "HASH": 4,
    "STRTAB": 5,
    "SYMTAB": 6,
    "STRSZ": 10,
    "SYMENT": 11,
    "SONAME": 14,
    "VERSYM": 0x6FFFFFF0,
    "VERDEF": 0x6FFFFFFC,
    "VERDEFNUM": 0x6FFFFFFD,
}


def needed_libraries(file: Path) -> tuple[str, ...]:
    """List the libraries that a program or library names; none if the file is neither."""
    from elftools.elf.dynamic import DynamicSection
    from elftools.elf.elffile import ELFFile

    with file.open("rb") as content:
        if content.read(4) != b"\x7fELF":
            return ()
        dynamic = ELFFile(content).get_section_by_name(".dynamic")
        if not isinstance(dynamic, DynamicSection):
            return ()
        return tuple(str(getattr(tag, "needed")) for tag in dynamic.iter_tags("DT_NEEDED"))  # noqa: B009 - the tag has what it is named after


def functions_wanted(files: Iterable[Path], library: str) -> Versions:
    """Gather what programs and libraries want of a library."""
    from elftools.elf.elffile import ELFFile
    from elftools.elf.gnuversions import GNUVerNeedSection, GNUVerSymSection
    from elftools.elf.sections import SymbolTableSection

    wanted: dict[str, set[str]] = {}
    for file in files:
        with file.open("rb") as content:
            elf = ELFFile(content)
            symbols = elf.get_section_by_name(".dynsym")
            numbers = elf.get_section_by_name(".gnu.version")
            needs = elf.get_section_by_name(".gnu.version_r")
            if not isinstance(needs, GNUVerNeedSection):
                continue
            assert isinstance(symbols, SymbolTableSection)
            assert isinstance(numbers, GNUVerSymSection)
            versions = {
                version["vna_other"]: version.name
                for need, each in needs.iter_versions()
                if need.name == library
                for version in each
            }
            for index, symbol in enumerate(symbols.iter_symbols()):
                version = versions.get(numbers.get_symbol(index)["ndx"])
                if version is not None:
                    wanted.setdefault(version, set()).add(symbol.name)
    return {version: frozenset(names) for version, names in wanted.items()}


def write_stand_in(library: str, versions: Versions) -> bytes:
    """Make a shared library for x86-64 in which each function gives 0; same input, same bytes."""
    functions = [
        (name, number)
        for number, version in enumerate(sorted(versions), 2)
        for name in sorted(versions[version])
    ]
    strings = _Strings()
    soname = strings.add(library)
    names = [strings.add(name) for name, _ in functions]
    # Written before the strings, to which it adds.
    definitions = _version_definitions(strings, [library, *sorted(versions)])
    parts = {
        "code": _RETURN_ZERO,
        "hash": _hash_table(len(functions)),
        "versions": struct.pack(f"<{1 + len(functions)}H", 0, *(number for _, number in functions)),
        "definitions": definitions,
        "strings": bytes(strings.content),
    }
    places: dict[str, int] = {}
    content = bytearray(_HEADER_BYTES)
    for part, bytes_of_part in parts.items():
        places[part] = _append(content, bytes_of_part)
    places["symbols"] = _append(content, _symbols(names, places["code"]))
    tags = _dynamic(places, soname, len(strings.content), len(versions) + 1)
    places["dynamic"] = _append(content, tags)
    content[:_HEADER_BYTES] = _headers(len(content), places["dynamic"])
    return bytes(content)


class _Strings:
    def __init__(self) -> None:
        self.content = bytearray(1)

    def add(self, text: str) -> int:
        place = len(self.content)
        self.content += text.encode() + b"\0"
        return place


def _append(content: bytearray, part: bytes) -> int:
    """Add a part at an even place, and give the place."""
    content += bytes(-len(content) % 16)
    place = len(content)
    content += part
    return place


def _hash_table(count: int) -> bytes:
    """Write a table with one chain, which holds every symbol: it is searched once for each."""
    first, *following = (*range(1, count + 1), 0)
    return struct.pack(f"<{4 + count}I", 1, 1 + count, first, 0, *following)


def _symbols(names: Sequence[int], code: int) -> bytes:
    """Write Elf64_Sym: none, then global functions (0x12) that are defined here."""
    size = len(_RETURN_ZERO)
    rows = (struct.pack("<IBBHQQ", name, 0x12, 0, 1, code, size) for name in names)
    return b"".join((bytes(_SYMBOL_BYTES), *rows))


def _version_definitions(strings: _Strings, names: Sequence[str]) -> bytes:
    """Write Elf64_Verdef, each with its one Elf64_Verdaux; the first is the library itself."""
    content = b""
    for number, name in enumerate(names, 1):
        following = 28 if number < len(names) else 0
        flags = 1 if number == 1 else 0
        content += struct.pack("<4H3I", 1, flags, number, 1, _elf_hash(name), 20, following)
        content += struct.pack("<2I", strings.add(name), 0)
    return content


def _dynamic(places: Mapping[str, int], soname: int, string_bytes: int, definitions: int) -> bytes:
    entries = {
        "SONAME": soname,
        "HASH": places["hash"],
        "STRTAB": places["strings"],
        "SYMTAB": places["symbols"],
        "STRSZ": string_bytes,
        "SYMENT": _SYMBOL_BYTES,
        "VERSYM": places["versions"],
        "VERDEF": places["definitions"],
        "VERDEFNUM": definitions,
    }
    pairs = (struct.pack("<2Q", _DT[name], value) for name, value in entries.items())
    return b"".join((*pairs, bytes(16)))


def _headers(length: int, dynamic: int) -> bytes:
    """Write Elf64_Ehdr and three Elf64_Phdr: all of the file, its dynamic part, the stack."""
    identity = b"\x7fELF\x02\x01\x01" + bytes(9)
    fields = (3, _MACHINE, 1, 0, 64, 0, 0, 64, 56, 3, 64, 0, 0)
    rest = length - dynamic
    return b"".join(
        (
            identity,
            struct.pack("<2HI3QI6H", *fields),
            struct.pack("<2I6Q", 1, 5, 0, 0, 0, length, length, 0x1000),
            struct.pack("<2I6Q", 2, 4, dynamic, dynamic, dynamic, rest, rest, 8),
            struct.pack("<2I6Q", 0x6474E551, 6, 0, 0, 0, 0, 0, 16),
        )
    )


def _elf_hash(name: str) -> int:
    """Hash a name. Source: gABI, chapter 5, "Hash Table"."""
    value = 0
    for byte in name.encode():
        value = (value << 4) + byte
        high = value & 0xF0000000
        value = (value ^ (high >> 24)) & ~high
    return value
