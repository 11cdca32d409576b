# SPDX-License-Identifier: GPL-3.0-or-later
"""openvpn and NetworkManager under their AppArmor profiles, on a kernel that enforces them."""

import pytest
from bench import wants_all_profiles
from confined_machines import FORBIDDEN, Seen

pytestmark = [
    pytest.mark.root,
    pytest.mark.skipif(
        not wants_all_profiles(), reason="boots virtual machines for minutes: ./run test-all"
    ),
]

PROFILES = {"network_managed": "gnoppix.NetworkManager", "tunnelled": "gnoppix.openvpn"}


@pytest.fixture(params=PROFILES)
def confined(request: pytest.FixtureRequest) -> tuple[str, Seen]:
    """Give a profile's name, and what a boot showed of it."""
    return PROFILES[request.param], request.getfixturevalue(request.param)


def test_service_is_held_to_its_profile(confined: tuple[str, Seen]) -> None:
    profile, seen = confined
    assert set(seen.labels) == {f"{profile} (enforce)"}


def test_profile_refuses_nothing_that_the_service_does(confined: tuple[str, Seen]) -> None:
    """While its network or tunnel came up, carried packets, went down and came up again."""
    _, seen = confined
    assert seen.denied == ()


def test_profile_refuses_what_is_not_the_service_s_business(confined: tuple[str, Seen]) -> None:
    """It is logged, so that the silence above says something."""
    _, seen = confined
    assert [line for line in seen.refused if f'name="{FORBIDDEN}"' in line] != []
    assert seen.refused_without == ()
