# SPDX-License-Identifier: GPL-3.0-or-later
"""Credentials that a service waits for: a unit with a condition on one is skipped without it.

Source: systemd.exec(5), `ImportCredential=`; systemd.unit(5), `ConditionCredential=`.
"""

from collections.abc import Sequence
from typing import Any

import pytest

FOLDERS = ("/etc", "/usr/lib")
KINDS = ("credstore", "credstore.encrypted")


def skip_without_credential(host: Any, unit: str, credential: str) -> None:
    """Skip a check of a service on a system that was not given what it waits for."""
    if not host.service(unit).is_running:
        said = host.check_output(f"systemctl show --property=ConditionResult --value {unit}")
        assert said == "no", f"`{unit}` is down, though there is a {credential}"
        pytest.skip(f"the system was given no {credential}")


def credentials_found(host: Any, names: Sequence[str]) -> list[str]:
    """List the files of an image from which systemd would take credentials of these names."""
    places = [f"{folder}/{kind}/{name}" for folder in FOLDERS for kind in KINDS for name in names]
    return [each for each in places if host.file(each).exists]
