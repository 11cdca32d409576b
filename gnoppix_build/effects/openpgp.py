# SPDX-License-Identifier: GPL-3.0-or-later
"""Signatures by a key that the user gives. Source: the Stateless OpenPGP Command Line Interface."""

from pathlib import Path

from gnoppix_build.effects.faults import CommandFault, Fault
from gnoppix_build.effects.process import capture, require_tool

TOOL = "sqop"


class KeyFault(Fault):
    """A key cannot sign."""

    code = "key"


def sign(document: Path, result: Path, key: Path) -> None:
    """Write the document with its signature around it, which apt reads as InRelease."""
    signed = _call(
        "inline-sign", "--as=clearsigned", str(key), stdin=document.read_bytes(), key=key
    )
    result.write_bytes(signed)


def write_certificate(key: Path, result: Path) -> None:
    """Write the public half of a key, for `Signed-By`."""
    result.write_bytes(_call("extract-cert", stdin=key.read_bytes(), key=key))


def _call(*argv: str, stdin: bytes, key: Path) -> bytes:
    require_tool(TOOL)
    try:
        return capture((TOOL, *argv), stdin=stdin)
    except CommandFault as fault:
        raise KeyFault(
            f"`{key}` does not sign: {fault.hint or 'sqop does not say why'}",
            hint="an OpenPGP secret key without a password is wanted: sqop generate-key",
        ) from fault
