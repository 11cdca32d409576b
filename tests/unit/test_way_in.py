# SPDX-License-Identifier: GPL-3.0-or-later
"""Who is let in from elsewhere, and whether it is whoever brings the policy."""

from ipaddress import ip_address

import pytest
from hypothesis import given
from hypothesis import strategies as st
from profile_workbench import WrittenSources

from gnoppix_build.catalog.load import COMPONENTS_FOLDER, load_catalog
from gnoppix_build.diagnostics import format_diagnostic
from gnoppix_build.effects.sources import SourceFolders
from gnoppix_build.language.source import PACKAGE_FOLDER
from gnoppix_build.policy.compile import compile_policy
from gnoppix_build.policy.egress import format_egress_chain
from gnoppix_build.policy.model import Policy, PolicyListener
from gnoppix_build.policy.ruleset import format_ruleset
from gnoppix_build.policy.way_in import Session, check_way_in
from gnoppix_build.resolve.resolve import resolve
from gnoppix_build.targets.remote import MachineAddress, NotAnAddress, parse_address

CATALOG = load_catalog([COMPONENTS_FOLDER], SourceFolders([PACKAGE_FOLDER]))
PROFILE = "version: 1\nname: box\ncomponents:\n  firewall: {}\n  own-network: {}\n"


def told(profile: str, port: int = 22, client: str = "192.0.2.7") -> str:
    """Say what somebody is told who brings a profile by this port, from this address."""
    reader = WrittenSources({"p/box.yaml": profile})
    resolution = resolve("p/box.yaml", CATALOG, reader, "machine")
    assert resolution.resolved is not None, resolution.diagnostics
    resolved = resolution.resolved
    fault = check_way_in(resolved, compile_policy(resolved), Session(port, client), CATALOG)
    return format_diagnostic(fault, resolution.sources) if fault else ""


def test_profile_without_a_way_in_is_answered_with_one() -> None:
    assert told(PROFILE) == (
        "p/box.yaml:4:3: error[way-in-closed]: `box` does not admit port `22`, by which this "
        "session came from `192.0.2.7`: it would shut you out\n"
        "  |\n"
        "4 |   firewall: {}\n"
        "  |   ^^^^^^^^\n"
        "  = hint: add `remote-access: {port: 22}` under `components:`"
    )


def test_other_port_is_told_where_it_is_set() -> None:
    assert told(f"{PROFILE}  remote-access: {{port: 2222}}\n") == (
        "p/box.yaml:6:25: error[way-in-closed]: `box` does not admit port `22`, by which this "
        "session came from `192.0.2.7`: it would shut you out\n"
        "  |\n"
        "6 |   remote-access: {port: 2222}\n"
        "  |                         ^^^^\n"
        "  = note: p/box.yaml:4:3: `firewall` refuses whatever no component declares\n"
        "  = hint: let `port` of `remote-access` have `22`"
    )


@pytest.mark.parametrize(
    ("options", "client", "is_admitted"),
    [
        ("{}", "192.0.2.7", True),
        ("{}", "2001:db8::7", False),
        ("{ipv6: on}", "2001:db8::7", True),
        ("{sources: [192.0.2.0/24]}", "192.0.2.7", True),
        ("{sources: [192.0.2.7]}", "192.0.2.7", True),
        ("{sources: [192.0.2.8]}", "192.0.2.7", False),
        ("{sources: [2001:db8::/32], ipv6: on}", "192.0.2.7", False),
        ("{sources: [192.0.2.8]}", "127.0.0.1", True),
        ("{port: 23}", "127.0.0.1", False),
        ("{}", "::1", False),
    ],
)
def test_session_is_admitted_by_port_and_source(
    options: str, client: str, *, is_admitted: bool
) -> None:
    said = told(f"{PROFILE}  remote-access: {options}\n", client=client)
    assert (said == "") == is_admitted


@pytest.mark.parametrize(
    ("options", "client", "hint"),
    [
        ("{}", "2001:db8::7", "let `ipv6` of `remote-access` be `on`"),
        (
            "{sources: [192.0.2.8]}",
            "2001:db8::7",
            "let `ipv6` of `remote-access` be `on` and `sources` of it have `2001:db8::7`",
        ),
        (
            "{sources: [192.0.2.8]}",
            "192.0.2.7",
            "let `sources` of `remote-access` have `192.0.2.7`",
        ),
        ("{port: 23}", "127.0.0.1", "let `port` of `remote-access` have `22`"),
        ("{sources: [192.0.2.8]}", "::1", "let `ipv6` of `remote-access` be `on`"),
    ],
)
def test_hint_is_what_admits_the_session(options: str, client: str, hint: str) -> None:
    said = told(f"{PROFILE}  remote-access: {options}\n", client=client)
    assert said.splitlines()[-1] == f"  = hint: {hint}"


def test_hint_for_ipv6_is_enough_when_it_is_followed() -> None:
    options = "{sources: [192.0.2.8, '2001:db8::7'], ipv6: on}"
    assert told(f"{PROFILE}  remote-access: {options}\n", client="2001:db8::7") == ""


def test_port_that_is_open_to_programs_of_the_machine_takes_a_session_of_one() -> None:
    """As that of an onion service: whose program it is, is not known."""
    reader = WrittenSources({"p/box.yaml": PROFILE})
    resolved = resolve("p/box.yaml", CATALOG, reader, "machine").resolved
    assert resolved is not None
    for open_to, is_admitted in (((), False), (("debian-tor",), True)):
        listener = PolicyListener("door", "root", "tcp", "127.0.0.1", 22, open_to)
        policy = Policy("box", listeners=(listener,))
        fault = check_way_in(resolved, policy, Session(22, "127.0.0.1"), CATALOG)
        assert (fault is None) == is_admitted


def test_other_services_are_no_way_in_that_a_hint_names() -> None:
    """An open port that has nothing to do with logging in is not told to be moved."""
    reader = WrittenSources({"p/box.yaml": PROFILE})
    resolution = resolve("p/box.yaml", CATALOG, reader, "machine")
    assert resolution.resolved is not None
    listener = PolicyListener("firewall", "root", "tcp", "0.0.0.0", 80, ())
    policy = Policy("box", listeners=(listener,))
    fault = check_way_in(resolution.resolved, policy, Session(22, "192.0.2.7"), CATALOG)
    assert fault is not None
    assert fault.hint == "add `remote-access: {port: 22}` under `components:`"


def test_profile_without_a_firewall_shuts_nobody_out() -> None:
    assert told("version: 1\nname: box\ncomponents: {telemetry-off: {}}\n") == ""


def test_ruleset_admits_sources_and_answers_them_alone() -> None:
    listener = PolicyListener(
        "door", "root", "tcp", "0.0.0.0", 22, ("everyone",), sources=("192.0.2.0/24",)
    )
    policy = Policy("box", listeners=(listener,))
    ruleset = format_ruleset(policy)
    assert "\t\tmeta protocol ip ip saddr 192.0.2.0/24 tcp dport 22 accept\n" in ruleset
    others = 'meta protocol ip tcp sport 22 meta skuid != "root"'
    answer = "meta protocol ip tcp sport 22 ip daddr 192.0.2.0/24"
    assert f"\t\t{others} goto refuse\n\t\t{answer} ct direction reply accept\n" in ruleset
    assert f"\t\t{others} drop\n\t\t{answer} accept\n" in format_egress_chain(policy)


def test_sources_of_another_family_admit_nobody() -> None:
    listener = PolicyListener(
        "door", "root", "tcp", "::", 22, ("everyone",), sources=("192.0.2.0/24",)
    )
    ruleset = format_ruleset(Policy("box", listeners=(listener,)))
    assert "dport 22 accept" not in ruleset.split("chain loopback_input")[0]


@pytest.mark.parametrize(
    ("text", "address"),
    [
        ("local", MachineAddress("local")),
        ("ssh://box", MachineAddress("box", "box")),
        ("ssh://root@192.0.2.7:2222", MachineAddress("192.0.2.7", "192.0.2.7", "root", 2222)),
        ("ssh://john.doe@box", MachineAddress("box", "box", "john.doe")),
        ("ssh://[2001:db8::7]", MachineAddress("2001:db8::7", "2001:db8::7")),
    ],
)
def test_address_is_read(text: str, address: MachineAddress) -> None:
    assert parse_address(text) == address


@given(st.text(max_size=40) | st.from_regex(r"ssh://[ -~]{0,30}"))
def test_address_gives_ssh_no_option_and_no_command(text: str) -> None:
    try:
        address = parse_address(text)
    except NotAnAddress:
        return
    assert not any(word.startswith("-") for word in (address.host, address.user))
    assert not set(address.host + address.user) & set(" \t\n;&|$`'\"\\(){}<>%/")
    if ":" in address.host:
        assert ip_address(address.host).version == 6
