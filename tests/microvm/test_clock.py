# SPDX-License-Identifier: GPL-3.0-or-later
"""A clock that is off by a day, in a machine with a hardware clock of its own.

Over Tor: the shipped profile `tor-live`. By NTS: a machine whose cards NetworkManager runs, and one
that asks through its OpenVPN tunnel.
"""

import pytest
from bench import Bench, wants_all_profiles
from clock_watch import DAY_S, RIGHT_S, ClockSeen, WireSeen, watch_over_tor
from confined_machines import Seen
from tor_network import TorNetwork

pytestmark = [
    pytest.mark.root,
    pytest.mark.skipif(
        not wants_all_profiles(), reason="boots virtual machines for minutes: ./run test-all"
    ),
]

# Dates of web servers have whole seconds, and a busy machine answers late.
ACCURACY_S = 5.0
MARGIN_S = 60.0
NOTHING = WireSeen(strangers=(), plain_questions=0)


@pytest.fixture(scope="module")
def port(tor_network: TorNetwork) -> tuple[str, int]:
    """Give a port of the private Tor network that one machine after the other is plugged into."""
    return tor_network.attach_tap()


@pytest.fixture(scope="module", params=[DAY_S, -DAY_S], ids=["a day ahead", "a day behind"])
def over_tor(
    request: pytest.FixtureRequest,
    bench: Bench,
    tor_network: TorNetwork,
    port: tuple[str, int],
    tmp_path_factory: pytest.TempPathFactory,
) -> tuple[int, ClockSeen, WireSeen]:
    image = bench.build("tor-live", bench.folder / "tor-live")
    work = tmp_path_factory.mktemp("clock")
    return request.param, *watch_over_tor(image, tor_network, port, work, request.param)


def judge(off_s: int, seen: ClockSeen) -> None:
    """Hold what became of the clocks against what is promised."""
    assert seen.at_start == pytest.approx(off_s, abs=MARGIN_S)
    assert 0 <= seen.seconds <= RIGHT_S
    assert abs(seen.at_end) <= ACCURACY_S
    assert seen.hardware_at_end == pytest.approx(off_s, abs=MARGIN_S)


def test_tor_brings_the_right_time_and_leaves_the_hardware_clock(
    over_tor: tuple[int, ClockSeen, WireSeen],
) -> None:
    off_s, clock, _ = over_tor
    judge(off_s, clock)


def test_nothing_is_asked_beside_tor(over_tor: tuple[int, ClockSeen, WireSeen]) -> None:
    assert over_tor[2] == NOTHING


def test_nts_brings_the_right_time_and_leaves_the_hardware_clock(
    network_managed: Seen,
) -> None:
    judge(DAY_S, network_managed.clock)
    assert network_managed.wire == NOTHING


def test_nts_brings_the_right_time_through_a_tunnel(tunnelled: Seen) -> None:
    judge(-DAY_S, tunnelled.clock)
    assert tunnelled.wire == NOTHING


def test_hardware_clock_can_be_seen_to_change(tunnelled: Seen) -> None:
    """The control of the assertions above: a machine that is told to write it does."""
    assert abs(tunnelled.hardware_once_written) < MARGIN_S
