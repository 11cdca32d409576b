# SPDX-License-Identifier: GPL-3.0-or-later
"""What `locales` promises of a system."""

from typing import Any

import pytest


@pytest.mark.static
@pytest.mark.running
def test_locale_is_the_only_one_generated(host: Any, profile: Any) -> None:
    """The locale of the profile is the one to be generated."""
    lines = host.file("/etc/locale.gen").content_string.splitlines()
    assert [line for line in lines if not line.startswith("#")] == [f"{profile.locale} UTF-8"]


@pytest.mark.running
def test_locale_is_known(host: Any, profile: Any) -> None:
    """Programs find the locale."""
    known = host.check_output("locale -a").split()
    assert profile.locale.replace("UTF-8", "utf8") in known
