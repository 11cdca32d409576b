# SPDX-License-Identifier: GPL-3.0-or-later
"""The network policy as data for programs: JSON documents beside the rendered rulesets."""

import json
from collections.abc import Iterable, Mapping
from dataclasses import asdict

from gnoppix_build.policy.capture import CaptureRule, compile_capture
from gnoppix_build.policy.model import (
    Admission,
    InnerFlow,
    Policy,
    PolicyConsent,
    PolicyListener,
    PolicySocket,
    SocketAdmission,
)

FORMAT_VERSION = 1

Row = (
    Admission
    | CaptureRule
    | InnerFlow
    | PolicyConsent
    | PolicyListener
    | PolicySocket
    | SocketAdmission
)


def policy_documents(policy: Policy) -> Mapping[str, bytes]:
    """Write the expected listeners, who may connect to them, and what a recording may hold.

    Gives the name of a file -> its JSON, one row a line.
    """
    return {
        "capture.json": _document(rules=compile_capture(policy)),
        "listeners.json": _document(
            listeners=policy.listeners,
            sockets=policy.sockets,
            inner=policy.inner,
            consents=policy.consents,
        ),
        "matrix.json": _document(listeners=policy.matrix, sockets=policy.socket_matrix),
    }


def _document(**tables: Iterable[Row]) -> bytes:
    parts = [f' "format_version": {FORMAT_VERSION}']
    for name, rows in tables.items():
        lines = ",\n".join(f"  {json.dumps(asdict(row))}" for row in rows)
        parts.append(f' "{name}": [\n{lines}\n ]' if lines else f' "{name}": []')
    return ("{\n" + ",\n".join(parts) + "\n}\n").encode()
