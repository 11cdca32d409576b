# SPDX-License-Identifier: GPL-3.0-or-later
"""What `network` promises of a system."""

import json
from typing import Any

import pytest

LOCALLY_ADMINISTERED = 0x02


def addresses_by_interface(host: Any) -> dict[str, list[dict[str, Any]]]:
    """Read the addresses of each interface."""
    links = json.loads(host.check_output("ip -json address show"))
    return {link["ifname"]: link["addr_info"] for link in links}


@pytest.mark.static
@pytest.mark.running
def test_networkd_is_enabled(host: Any) -> None:
    """systemd-networkd brings the network up."""
    assert host.service("systemd-networkd").is_enabled


@pytest.mark.static
@pytest.mark.running
def test_networkd_has_its_number(host: Any) -> None:
    """The user of systemd-networkd has the number that the component declares."""
    assert host.user("systemd-network").uid == 998


@pytest.mark.running
def test_address_came_by_dhcp(host: Any) -> None:
    """A network card got an IPv4 address by DHCP."""
    found = [
        address
        for name, addresses in addresses_by_interface(host).items()
        for address in addresses
        if name != "lo" and address["family"] == "inet" and address.get("dynamic")
    ]
    assert found, "no interface but `lo` has a dynamic IPv4 address"


@pytest.mark.running
def test_no_interface_has_ipv6(host: Any) -> None:
    """There is no IPv6 address but on the loopback interface."""
    found = [
        f"{name} {address['local']}"
        for name, addresses in addresses_by_interface(host).items()
        for address in addresses
        if name != "lo" and address["family"] == "inet6"
    ]
    assert found == []


@pytest.mark.running
def test_hardware_addresses_are_random(host: Any) -> None:
    """No Ethernet card shows the address that it was made with."""
    links = json.loads(host.check_output("ip -json link show"))
    cards = [link for link in links if link["link_type"] == "ether"]
    assert cards, "there is no Ethernet card"
    shown = {card["ifname"]: card["address"] for card in cards}
    made_with = {
        card["ifname"]: card["permaddr"] for card in cards if card.get("permaddr") is not None
    }
    assert all(int(address[:2], 16) & LOCALLY_ADMINISTERED for address in shown.values()), shown
    assert shown.keys() == made_with.keys(), f"as made: {shown.keys() - made_with.keys()}"


@pytest.mark.running
def test_routes_are_only_those_of_the_card(host: Any) -> None:
    """No route is there but the router's and that of the own network."""
    routes = json.loads(host.check_output("ip -json -4 route show"))
    gateways = {route["gateway"] for route in routes if "gateway" in route}
    strange = [
        route["dst"]
        for route in routes
        if route["dst"] != "default"
        and route["dst"] not in gateways
        and route.get("protocol") != "kernel"
    ]
    assert strange == []
