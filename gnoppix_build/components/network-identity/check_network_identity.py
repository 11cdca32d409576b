# SPDX-License-Identifier: GPL-3.0-or-later
"""What `network-identity` promises of a system."""

import json
import re
from collections.abc import Mapping
from typing import Any

import pytest

from gnoppix_build.checks.cards import await_address, open_cards, where_the_cards_are

LOCALLY_ADMINISTERED = 0x02
FIREWALL = "gnoppix-firewall.service"
CONSENT = "gnoppix-network-consent.service"
HAND_OVER = "gnoppix-hand-over@"
# What gives a card to the network manager, by the namespace that the cards are in.
GIVERS = {"system": HAND_OVER, "carrier": "gnoppix-carried@"}
PIPE = "/run/gnoppix/network-consent"
UNITS = {"network-manager": "NetworkManager.service", "networkd": "systemd-networkd.service"}
# Source: RFC 7844, section 3; RFC 2132 and RFC 4702 for the numbers.
SILENT_OPTIONS = {12: "host name", 60: "vendor class", 77: "user class", 81: "full name"}
CLIENT_ID = 61
IPV6 = b"\x86\xdd"
LLDP = b"\x88\xcc"
# mDNS, LLMNR, SSDP, NetBIOS.
CHATTER = {5353, 5355, 1900, 137, 138}


def links(host: Any, policy: Any) -> list[dict[str, Any]]:
    """Read the Ethernet cards, with their addresses."""
    found = json.loads(host.check_output(where_the_cards_are(policy, "ip -json address show")))
    return [link for link in found if link["link_type"] == "ether"]


def addresses(host: Any, policy: Any, family: str) -> list[dict[str, Any]]:
    """Read the addresses of one family of all cards."""
    found = (each for link in links(host, policy) for each in link["addr_info"])
    return [each for each in found if each["family"] == family]


def judge_hardware_addresses(cards: list[dict[str, Any]], wanted: object) -> None:
    """Hold the addresses that cards show against the option `mac`."""
    assert cards, "there is no Ethernet card"
    shown = {card["ifname"]: card["address"] for card in cards}
    changed = {card["ifname"] for card in cards if card.get("permaddr") is not None}
    if wanted == "permanent":
        assert changed == set()
        return
    assert all(int(address[:2], 16) & LOCALLY_ADMINISTERED for address in shown.values()), shown
    assert shown.keys() == changed, f"as made: {shown.keys() - changed}"


def connect_anew(host: Any, policy: Any) -> None:
    """Take every card down and give it to the network manager again."""
    for link in links(host, policy):
        unit = f"{GIVERS[policy.card_namespace]}{link['ifname']}.service"
        host.check_output(f"systemctl restart {unit}")
    await_address(host, policy)


def udp_port(frame: bytes) -> int:
    """Give the destination port of an IPv4 frame with UDP, or 0."""
    if frame[12:14] != b"\x08\x00" or frame[23] != 17:
        return 0
    start = 14 + 4 * (frame[14] & 0x0F)
    return int.from_bytes(frame[start + 2 : start + 4])


def dhcp_options(frame: bytes) -> dict[int, bytes]:
    """Read the options of a DHCP message. Source: RFC 2131, section 3; RFC 2132, section 2."""
    options: dict[int, bytes] = {}
    rest = frame[14 + 20 + 8 + 240 :]
    while rest and rest[0] != 255:
        if rest[0] == 0:
            rest = rest[1:]
            continue
        options[rest[0]] = rest[2 : 2 + rest[1]]
        rest = rest[2 + rest[1] :]
    return options


@pytest.mark.static
@pytest.mark.running
def test_manager_is_enabled(host: Any, options: Mapping[str, object]) -> None:
    """One network manager is there, and the other one is not started."""
    manager = str(options["manager"])
    assert host.service(UNITS[manager]).is_enabled
    others = (host.service(unit) for name, unit in UNITS.items() if name != manager)
    running = [each for each in others if each.exists and not each.is_masked and each.is_enabled]
    assert [each.name for each in running] == []


@pytest.mark.static
@pytest.mark.running
def test_networkd_has_its_number(host: Any) -> None:
    """The user of systemd-networkd has the number that the component declares."""
    assert host.user("systemd-network").uid == 998


@pytest.mark.static
def test_manager_hangs_on_the_firewall(host: Any, options: Mapping[str, object]) -> None:
    """The network manager starts only behind the firewall, and stops with it."""
    unit = UNITS[str(options["manager"])]
    drop_in = f"/etc/systemd/system/{unit}.d/50-gnoppix.conf"
    lines = host.file(drop_in).content_string.splitlines()
    hanging = {line.split("=")[0] for line in lines if FIREWALL in re.split("[= ]", line)}
    assert {"After", "PartOf", "Requisite"} <= hanging


@pytest.mark.static
def test_card_is_handed_over_after_its_chain(host: Any, options: Mapping[str, object]) -> None:
    """The egress chain of a card pulls in its hand-over, which waits for it."""
    drop_in = "/etc/systemd/system/gnoppix-egress@.service.d/50-gnoppix-hand-over.conf"
    assert f"Wants={HAND_OVER}%i.service" in host.file(drop_in).content_string.splitlines()
    unit = host.file(f"/etc/systemd/system/{HAND_OVER}.service").content_string.splitlines()
    assert {"BindsTo=gnoppix-egress@%i.service", "After=gnoppix-egress@%i.service"} <= {*unit}
    assert (f"Requisite={CONSENT}" in unit) == options["consent"]


@pytest.mark.running
def test_manager_stays_off_a_card_of_its_own(
    host: Any, options: Mapping[str, object], policy: Any
) -> None:
    """No setting lets the manager bring up a card that was not handed over."""
    if options["manager"] == "networkd":
        for link in links(host, policy):
            asking = f"networkctl status --json=short {link['ifname']}"
            text = host.check_output(where_the_cards_are(policy, asking))
            assert json.loads(text)["ActivationPolicy"] == "manual"
    else:
        configuration = host.check_output("NetworkManager --print-config")
        assert "managed=0" in configuration.splitlines()


@pytest.mark.running
def test_address_came_by_dhcp(host: Any, options: Mapping[str, object], policy: Any) -> None:
    """A network card got an IPv4 address by DHCP."""
    if options["consent"] and not host.service(CONSENT).is_running:
        pytest.skip("nobody has agreed to the network yet")
    await_address(host, policy)
    found = [each for each in addresses(host, policy, "inet") if each.get("dynamic")]
    assert found, "no interface but `lo` has a dynamic IPv4 address"


@pytest.mark.running
def test_no_interface_has_ipv6(host: Any, options: Mapping[str, object], policy: Any) -> None:
    """There is no IPv6 address but on the loopback interface."""
    if options["ipv6"] != "off":
        pytest.skip("the profile has IPv6")
    assert addresses(host, policy, "inet6") == []


@pytest.mark.running
def test_ipv6_does_not_tell_of_the_card(
    host: Any, options: Mapping[str, object], policy: Any
) -> None:
    """No IPv6 address holds the hardware address (RFC 4291, appendix A)."""
    if options["ipv6"] == "off":
        pytest.skip("the profile has no IPv6")
    for link in links(host, policy):
        for address in (link["address"], link.get("permaddr", link["address"])):
            octets = bytes.fromhex(address.replace(":", ""))
            marked = f"ff:fe{octets[3]:02x}:{octets[4]:x}{octets[5]:02x}"
            found = [each["local"] for each in link["addr_info"] if marked in each["local"]]
            assert found == []


@pytest.mark.running
def test_hardware_addresses_are_as_said(
    host: Any, options: Mapping[str, object], policy: Any
) -> None:
    """No Ethernet card shows the address that it was made with, unless the profile says so."""
    if options["manager"] == "network-manager" and options["consent"]:
        pytest.skip("a card gets its address when somebody agrees to the network")
    judge_hardware_addresses(links(host, policy), options["mac"])


@pytest.mark.running
def test_routes_are_only_those_of_the_card(host: Any, policy: Any) -> None:
    """No route is there but the router's and that of the own network."""
    listing = host.check_output(where_the_cards_are(policy, "ip -json -4 route show"))
    routes = json.loads(listing)
    gateways = {route["gateway"] for route in routes if "gateway" in route}
    strange = [
        route["dst"]
        for route in routes
        if route["dst"] != "default"
        and route["dst"] not in gateways
        and route.get("protocol") != "kernel"
    ]
    assert strange == []


@pytest.mark.running
@pytest.mark.destructive
def test_network_learns_nothing_from_a_connection(
    host: Any, wire: Any, options: Mapping[str, object], policy: Any
) -> None:
    """A new connection names neither host nor system, and asks nobody for names."""
    open_cards(host, policy)
    frames = wire.frames_during(lambda: connect_anew(host, policy))
    judge_hardware_addresses(links(host, policy), options["mac"])
    shown = {link["address"] for link in links(host, policy)}
    own = [frame for frame in frames if frame[6:12].hex(":") in shown]
    messages = [dhcp_options(frame) for frame in own if udp_port(frame) == 67]
    assert messages, "no DHCP message was sent"
    told = {SILENT_OPTIONS[each] for said in messages for each in said if each in SILENT_OPTIONS}
    assert told == set()
    # The type of hardware, then its address. Source: RFC 7844, section 3.5.
    expected = {f"01:{address}" for address in shown}
    assert {said[CLIENT_ID].hex(":") for said in messages} <= expected
    assert {udp_port(frame) for frame in own} & CHATTER == set()
    assert not any(frame[12:14] == LLDP for frame in own)
    if options["ipv6"] == "off":
        assert not any(frame[12:14] == IPV6 for frame in own)


@pytest.mark.running
def test_nothing_leaves_before_consent(
    host: Any, wire: Any, options: Mapping[str, object], policy: Any
) -> None:
    """Until somebody agrees every card is down and sends no frame."""
    if not options["consent"]:
        pytest.skip("the profile does not ask for consent")
    frames = wire.frames_during(lambda: host.run("sleep 3"))
    assert [link["ifname"] for link in links(host, policy) if "UP" in link["flags"]] == []
    shown = {link["address"] for link in links(host, policy)}
    assert [frame for frame in frames if frame[6:12].hex(":") in shown] == []


@pytest.mark.running
@pytest.mark.destructive
def test_only_the_group_can_agree(host: Any, options: Mapping[str, object], policy: Any) -> None:
    """A stranger's consent is refused; a member of the group brings the cards up."""
    if not options["consent"]:
        pytest.skip("the profile does not ask for consent")
    stranger = "setpriv --reuid=65534 --regid=65534 --clear-groups"
    assert host.run(f"{stranger} allow-network").rc != 0
    assert host.run(f"{stranger} sh -c 'echo agreed >{PIPE}'").rc != 0
    assert not host.service(CONSENT).is_running
    host.check_output("setpriv --reuid=65534 --regid=65534 --groups=861 allow-network")
    await_address(host, policy)
    assert addresses(host, policy, "inet") != []


@pytest.mark.traffic
def test_lies_of_the_network_change_nothing(host: Any, lan: Any, policy: Any) -> None:
    """No route, address, name server, domain or host name comes from DHCP or from a router."""
    questions = ("ip route show table all", "ip -6 route show table all", "ip address show")
    shown = [host.check_output(where_the_cards_are(policy, each)) for each in questions]
    shown.append(host.check_output("cat /proc/sys/kernel/hostname"))
    resolvers = host.file("/etc/resolv.conf")
    # Where nothing asks for names there is none, and it tells no lie.
    shown += [resolvers.content_string] if resolvers.exists else []
    told = "\n".join(shown)
    assert [lie for lie in sorted(lan.lies()) if lie in told] == []


@pytest.mark.traffic
def test_network_is_told_neither_name_nor_card(
    host: Any, lan: Any, options: Mapping[str, object]
) -> None:
    """From its start on the machine tells its host name to nobody, nor the card's own address."""
    sent = lan.sent()
    if not sent:
        pytest.skip("the machine has sent nothing since its start")
    told = {
        SILENT_OPTIONS[each]
        for said in lan.dhcp_messages()
        for each in said.options
        if each in SILENT_OPTIONS
    }
    assert told == set()
    name = host.check_output("cat /proc/sys/kernel/hostname").encode()
    assert [frame.hex() for frame in sent if name in frame] == []
    if options["mac"] != "permanent":
        made_with = lan.hardware_address()
        assert [frame.hex() for frame in sent if made_with in frame] == []
