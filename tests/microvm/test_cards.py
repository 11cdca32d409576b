# SPDX-License-Identifier: GPL-3.0-or-later
"""Rulesets in force while cards come and go, on this machine's kernel and on the suite's own.

Both run `card_lab.py` with the rulesets of the profile `minimal`; what came out at the far end of
the cable is judged here.
"""

import json
import os
import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import pytest
from lab_root import make_lab_root
from micro_vm import PACKAGES, run_in_micro_vm
from net_namespace import Namespace

from gnoppix_build.checks import programs
from gnoppix_build.checks.probes import WITHOUT_RULES, probes_among
from gnoppix_build.cli import session
from gnoppix_build.cli.locks import tools_wanted
from gnoppix_build.policy.capture import compile_capture, judge_frames
from gnoppix_build.policy.compile import compile_policy
from gnoppix_build.policy.egress import format_egress_chain
from gnoppix_build.policy.model import Policy
from gnoppix_build.policy.ruleset import format_closed_ruleset, format_ruleset

pytestmark = [
    pytest.mark.root,
    pytest.mark.skipif(os.geteuid() != 0, reason="namespaces need root"),
]

PROGRAM = Path(__file__).with_name("card_lab.py")
PASSWD = """\
root:x:0:0:root:/root:/bin/sh
debian-tor:x:110:110::/var/lib/tor:/bin/false
systemd-network:x:998:998::/:/usr/sbin/nologin
user:x:1000:1000::/home/user:/bin/bash
"""
ALL_PROBES = WITHOUT_RULES | {"ipv6"}


@dataclass(frozen=True)
class Seen:
    """What a run of the lab saw: step -> frames, or what a command answered."""

    kernel: str
    steps: dict[str, object]
    policy: Policy

    def frames(self, step: str) -> list[bytes]:
        found = self.steps[step]
        assert isinstance(found, list), step
        return [bytes.fromhex(frame) for frame in found]

    def probes(self, step: str) -> frozenset[str]:
        return probes_among(self.frames(step))

    def strangers(self, step: str) -> list[str]:
        judged = judge_frames(self.frames(step), compile_capture(self.policy), frozenset())
        return [stranger.description for stranger in judged]


@pytest.fixture(scope="module")
def policy() -> Policy:
    return compile_policy(session.require_profile("minimal", ()))


@pytest.fixture(scope="module")
def lab(policy: Policy, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Give the folder that the lab reads."""
    folder = tmp_path_factory.mktemp("lab")
    ruleset = format_ruleset(policy)
    (folder / "firewall.nft").write_text(ruleset)
    (folder / "stranger.nft").write_text(ruleset.replace('"debian-tor"', '"nobody-there"'))
    (folder / "closed.nft").write_text(format_closed_ruleset())
    (folder / "egress.nft").write_text(format_egress_chain(policy))
    (folder / "passwd").write_text(PASSWD)
    shutil.copy(Path(programs.__file__).with_name("send_probes.py"), folder)
    shutil.copy(PROGRAM, folder)
    return folder


@pytest.fixture(scope="module", params=["this kernel", "the suite's kernel"])
def seen(
    request: pytest.FixtureRequest,
    lab: Path,
    policy: Policy,
    lab_root: Path,
    tmp_path_factory: pytest.TempPathFactory,
) -> Seen:
    """Run the lab once for each kernel."""
    if request.param == "this kernel":
        said = run_in_namespaces(lab, lab_root)
    else:
        work = tmp_path_factory.mktemp("micro-vm")
        tools, root = make_lab_root(tools_wanted()), make_lab_root(PACKAGES)
        outcome = run_in_micro_vm(tools, root, lab, PROGRAM.name, work)
        assert outcome.status == 0, outcome.output
        said = outcome.output
    found = json.loads(said)
    return Seen(found["kernel"], found["seen"], policy)


def run_in_namespaces(lab: Path, root: Path) -> str:
    isolated = ("unshare", "--mount", "--pid", "--fork", "--kill-child", "--mount-proc")
    with Namespace(root, lab) as namespace:
        command: Sequence[str] = (*isolated, "python3", f"/mnt/{PROGRAM.name}", "/mnt")
        return namespace.run_in_root(*command).decode()


def test_probes_get_out_without_rules(seen: Seen) -> None:
    assert seen.probes("no rules") == ALL_PROBES
    assert seen.probes("no rules at the end") == ALL_PROBES


def test_raw_frames_pass_by_the_inet_table(seen: Seen) -> None:
    """This is why there is a chain for each card."""
    assert seen.probes("inet table alone") == {"frame"}


def test_ipv6_passes_by_a_ruleset_for_ipv4(seen: Seen) -> None:
    """This is why the table is `inet`."""
    assert seen.probes("a ruleset for IPv4 alone") == {"frame", "ipv6"}


@pytest.mark.parametrize(
    "step",
    [
        "inet table and egress chain",
        "after a ruleset that names a missing user",
        "late card",
        "card that came back",
        "renamed card",
    ],
)
def test_nothing_foreign_gets_out_under_the_rules(seen: Seen, step: str) -> None:
    assert seen.probes(step) == frozenset()
    assert seen.strangers(step) == []


def test_closed_ruleset_lets_out_nothing_but_arp(seen: Seen) -> None:
    """The card's chain is still the open one: it is the table that is closed."""
    frames = seen.frames("closed ruleset")
    assert [frame for frame in frames if frame[12:14] != b"\x08\x06"] == []


def test_tor_gets_out(seen: Seen) -> None:
    sent = seen.frames("what tor sends")
    assert [frame[23] for frame in sent if frame[12:14] == b"\x08\x00"] != []
    assert seen.strangers("what tor sends") == []


def test_rulesets_load(seen: Seen) -> None:
    """Whether a chain loads before its card is there differs between kernels: nothing needs it."""
    other = {"missing user", "egress chain before its card"}
    answers = {step: said for step, said in seen.steps.items() if isinstance(said, str)}
    assert {said for step, said in answers.items() if step not in other} == {"loaded"}


def test_ruleset_that_names_a_missing_user_is_refused(seen: Seen) -> None:
    assert seen.steps["missing user"] == "refused"


def test_old_connection_ends_at_a_switch_of_rulesets(seen: Seen) -> None:
    assert seen.probes("old connection") == frozenset()
    assert seen.probes("old connection, its end") == frozenset()


def test_old_connection_lives_on_where_all_that_is_established_passes(seen: Seen) -> None:
    """This is why no rule accepts by the state alone."""
    assert seen.probes("old connection, all that is established accepted") == {"tcp"}


def test_connection_led_to_a_proxy_dies_with_it(seen: Seen) -> None:
    assert seen.steps["led to port"] == 9040
    far = bytes((192, 0, 2, 7))
    sent = [
        frame
        for when in ("dies", "died")
        for frame in seen.frames(f"redirected connection whose proxy {when}")
    ]
    assert [frame for frame in sent if frame[30:34] == far] == []


def test_kernel_does_with_chains_what_the_units_are_made_for(seen: Seen) -> None:
    """A chain goes by the card, or by the name: so units are bound to both, and load it anew."""
    found = (
        seen.steps["egress chain before its card"],
        seen.probes("card that came back, chain not loaded again"),
        seen.probes("renamed card, chain not loaded again"),
    )
    nothing, frame = frozenset[str](), frozenset({"frame"})
    by_card, by_name = ("refused", frame, nothing), ("loaded", nothing, frame)
    possible = (by_card,) if seen.kernel.startswith("6.12.") else (by_card, by_name)
    assert found in possible
