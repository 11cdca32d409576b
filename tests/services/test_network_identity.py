# SPDX-License-Identifier: GPL-3.0-or-later
"""What `network-identity` and `firewall` do with a card, on a network that lies."""

import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from ipaddress import IPv6Address
from pathlib import Path

import pytest
from card_container import CARD, MEMBER, STRANGER, CardContainer, make_card_root, wait_until

from gnoppix_build.effects.hostile_lan import (
    EVIL_DOMAIN,
    EVIL_PREFIX,
    EVIL_RESOLVER,
    GATEWAY,
    GUEST,
)

pytestmark = pytest.mark.root
MANAGERS = ("networkd", "network-manager")
ARP, IPV4, IPV6 = b"\x08\x06", b"\x08\x00", b"\x86\xdd"
# Of IPv6: options for each hop, before a report of groups, and ICMPv6.
NEXT_HEADER, NEIGHBOURS_ONLY = 20, {0, 58}
CHAIN = f"gnoppix-egress@{CARD}.service"
HAND_OVER = f"gnoppix-hand-over@{CARD}.service"
CONSENT = "gnoppix-network-consent.service"
# Host name, vendor class, user class, full name. Source: RFC 7844, section 3.
SILENT_OPTIONS = {12, 60, 77, 81}
CLIENT_ID = 61
MARK = b"gnoppix-probe"
SEND_FRAME = f"""
import socket
card = socket.socket(socket.AF_PACKET, socket.SOCK_RAW)
card.bind(({CARD!r}, 0))
card.send(bytes(6 * (255,)) + bytes(6) + bytes((0x88, 0xb5)) + {MARK!r})
"""

BootContainer = Callable[..., CardContainer]


@pytest.fixture(scope="module")
def card_root() -> Path:
    return make_card_root()


@pytest.fixture
def boot_container(card_root: Path, tmp_path: Path) -> Iterator[BootContainer]:
    """Give what boots a container with the options that a test wants."""
    with ExitStack() as stack:
        yield lambda **options: stack.enter_context(CardContainer(tmp_path, card_root, **options))


def probe(lab: CardContainer) -> bool:
    """Send a raw frame from the container, and tell whether it got out."""
    lab.try_to_run("python3", "-c", SEND_FRAME)
    time.sleep(1)
    return any(MARK in frame for frame in lab.frames)


@pytest.mark.parametrize("manager", MANAGERS)
def test_card_tells_nothing_and_believes_nothing(
    boot_container: BootContainer, manager: str
) -> None:
    lab = boot_container(manager=manager)
    lab.plug_card()
    wait_until(
        lambda: (
            lab.has_address() and f"default via {GATEWAY.ipv4} dev eth0" in "".join(lab.routes())
        ),
        "an address and a router",
    )
    link = lab.link()
    assert {frame[6:12].hex(":") for frame in lab.frames} == {link["address"]}
    assert {frame[12:14] for frame in lab.frames} <= {ARP, IPV4}
    messages = lab.lan.dhcp_messages()
    assert {option for each in messages for option in each.options} & SILENT_OPTIONS == set()
    client = bytes.fromhex("01" + link["address"].replace(":", ""))
    assert {each.options[CLIENT_ID] for each in messages} == {client}
    assert [each["local"] for each in link["addr_info"]] == [str(GUEST)]
    assert link["mtu"] == 1500
    known = "\n".join((*lab.routes(), lab.run("cat", "/etc/resolv.conf"), lab.run("hostname")))
    assert [lie for lie in lab.lan.lies() if lie in known] == []
    assert set(lab.routes()) <= {
        f"default via {GATEWAY.ipv4} dev {CARD}",
        f"10.0.2.0/24 dev {CARD}",
        f"{GATEWAY.ipv4} dev {CARD}",
    }


def test_private_ipv6_tells_nothing_of_the_card(boot_container: BootContainer) -> None:
    """An address and the router are taken of a router that lies, and nothing else."""
    lab = boot_container(manager="networkd", ipv6="private")
    lab.plug_card()

    def addresses() -> list[IPv6Address]:
        found = lab.link()["addr_info"]
        return [IPv6Address(each["local"]) for each in found if each["family"] == "inet6"]

    told = EVIL_PREFIX.packed[:8]
    wait_until(lambda: any(each.packed[:8] == told for each in addresses()), "a prefix", 40)
    hardware = bytes.fromhex(lab.link()["address"].replace(":", ""))
    # Source: RFC 4291, appendix A.
    of_the_card = bytes((hardware[0] ^ 2, *hardware[1:3], 0xFF, 0xFE, *hardware[3:]))
    assert [each for each in addresses() if each.packed[8:] == of_the_card] == []
    assert [frame for frame in lab.frames if of_the_card in frame] == []
    spoken = {frame[NEXT_HEADER] for frame in lab.frames if frame[12:14] == IPV6}
    assert 58 in spoken
    assert spoken <= NEIGHBOURS_ONLY
    read = ("sh", "-c", "cat /etc/resolv.conf /run/systemd/netif/links/*")
    known = "\n".join((*lab.routes(), lab.run(*read)))
    assert [lie for lie in (str(EVIL_RESOLVER), EVIL_DOMAIN) if lie in known] == []
    prefix = str(EVIL_PREFIX).removesuffix(":")
    assert [route for route in lab.routes() if prefix in route] == []


@pytest.mark.parametrize("manager", MANAGERS)
def test_no_frame_leaves_before_consent(boot_container: BootContainer, manager: str) -> None:
    lab = boot_container(manager=manager, consent="on")
    lab.plug_card()
    wait_until(lambda: lab.is_active(CHAIN), CHAIN)
    time.sleep(3)
    assert (lab.frames, lab.is_up()) == ([], False)
    assert lab.try_to_run("allow-network", user=STRANGER) == 1
    assert lab.try_to_run("sh", "-c", "echo >/run/gnoppix/network-consent", user=STRANGER) != 0
    assert not lab.is_active(CONSENT)
    lab.run("allow-network", user=MEMBER)
    wait_until(lab.has_address, "an address")
    # A card that comes later needs no other word, and one that is taken back sends no more.
    lab.plug_card()
    wait_until(lambda: lab.is_active(HAND_OVER) and lab.has_address(), "the address of another")
    lab.run("systemctl", "stop", CONSENT)
    assert not lab.is_up()


@pytest.mark.parametrize("manager", MANAGERS)
def test_raw_frames_meet_the_chain_of_every_card(
    boot_container: BootContainer, manager: str
) -> None:
    lab = boot_container(manager=manager)
    for delay_s in (0.05, 0.3, 0.0):
        lab.plug_card()
        time.sleep(delay_s)
    wait_until(lambda: lab.is_active(HAND_OVER) and lab.is_up(), "the last of three cards")
    assert not probe(lab)
    lab.run("nft", "flush", "ruleset")
    assert probe(lab), "the frame stays away without rules as well"


def test_card_is_down_without_its_chain(boot_container: BootContainer) -> None:
    lab = boot_container(manager="networkd")
    lab.plug_card()
    wait_until(lab.is_up, "the link")
    for stop, start in ((CHAIN, CHAIN), ("gnoppix-firewall", "gnoppix-firewall")):
        lab.run("systemctl", "stop", stop)
        assert not lab.is_up(), f"`{stop}` is stopped"
        lab.run("systemctl", "start", start)
        wait_until(lab.is_up, f"the link after `{start}`")
    lab.run("sh", "-c", "echo 'table netdev' >>/etc/gnoppix/egress.nft")
    assert lab.try_to_run("systemctl", "restart", CHAIN) != 0
    assert not lab.is_up()
    # Were it brought up by hand: the closed chain is there.
    lab.run("ip", "link", "set", CARD, "up")
    assert not probe(lab)


def test_card_that_shows_its_own_address_stays_down(boot_container: BootContainer) -> None:
    """A cable's end has no address that it was made with: what the kernel says is changed."""
    lab = boot_container(manager="networkd")
    lab.run("sh", "-c", "echo 0 >/etc/as-made")
    told = 's|"$card/addr_assign_type"|/etc/as-made|'
    lab.run("sed", "--in-place", told, "/usr/lib/gnoppix/hand-over-card")
    lab.plug_card()
    refused = ("systemctl", "is-failed", "--quiet", HAND_OVER)
    wait_until(lambda: lab.try_to_run(*refused) == 0, "a refusal")
    assert not lab.is_up()
