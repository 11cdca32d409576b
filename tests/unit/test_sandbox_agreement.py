# SPDX-License-Identifier: GPL-3.0-or-later
"""What a service's sandbox lets through agrees with the rest of what the policy is compiled to.

Policies are made up by hypothesis. A drop-in is read as systemd would, by these lines alone:
whatever else the policy opens to the service's user has to fit through, and nothing beside it may.
Source: systemd.resource-control(5), `IPAddressAllow=`; systemd.exec(5).
"""

from collections.abc import Iterator, Mapping
from dataclasses import replace
from ipaddress import IPv4Network, IPv6Network, ip_address, ip_network
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as some
from test_shipped_profiles import EVERYTHING, SHIPPED, resolve_shipped

from gnoppix_build.policy.capture import compile_capture
from gnoppix_build.policy.compile import compile_policy
from gnoppix_build.policy.model import (
    EVERYONE,
    Carried,
    Confined,
    DirectFlow,
    LinkFlow,
    Namespace,
    Policy,
    PolicyListener,
    PolicyService,
    PolicySocket,
)
from gnoppix_build.policy.sandbox import format_drop_in

USERS = ("one", "two", "three")
NAMES = some.sampled_from(USERS)
NEAR = ("127.0.0.1", "::1")
FAR = ("192.0.2.1", "198.51.100.2", "2001:db8::1")
# Named by no flow.
STRANGE = ("203.0.113.3", "2001:db8::3")
FAMILIES = {4: "AF_INET", 6: "AF_INET6"}
NAMESPACES: some.SearchStrategy[Namespace] = some.sampled_from(["system", "carrier"])

LISTENERS = some.builds(
    PolicyListener,
    component=some.just("first"),
    user=NAMES,
    protocol=some.sampled_from(["tcp", "udp"]),
    address=some.sampled_from([*NEAR, "0.0.0.0", "::"]),
    port=some.integers(8000, 8003),
    open_to=some.sampled_from([(EVERYONE,), ("one",), ()]),
    namespace=NAMESPACES,
)
FLOWS = some.builds(
    DirectFlow,
    component=some.just("first"),
    user=some.one_of(NAMES, some.just(EVERYONE)),
    protocol=some.sampled_from(["tcp", "udp"]),
    ports=some.just((443,)),
    addresses=some.lists(some.sampled_from(FAR), max_size=2, unique=True).map(tuple),
    namespace=NAMESPACES,
)
SOCKETS = some.builds(
    PolicySocket,
    component=some.just("first"),
    user=NAMES,
    path=some.sampled_from(["/run/one/socket", "/run/two/deep/socket", "/run/systemd/x/socket"]),
    open_to=some.just((EVERYONE,)),
)


@some.composite
def policies(draw: some.DrawFn) -> Policy:
    """Make up a policy; a user has one form of egress, and one that links runs by the cards."""
    shapes = some.sampled_from(["free", "carried", "none", "loopback"])
    forms = {user: draw(shapes) for user in USERS}
    free = [user for user, form in forms.items() if form == "free"]
    cards = draw(NAMESPACES)
    senders = some.sampled_from([*free, "kernel"])
    kinds = some.sampled_from(["arp", "dhcp4", "nd"])
    links = some.lists(some.builds(LinkFlow, some.just("first"), kinds, senders, some.just(cards)))
    linked = draw(links)[:2]
    linking = {each.user for each in linked}
    return Policy(
        profile="made-up",
        listeners=tuple(draw(some.lists(LISTENERS, max_size=3))),
        sockets=tuple(draw(some.lists(SOCKETS, max_size=2))),
        direct=tuple(
            each for each in draw(some.lists(FLOWS, max_size=3)) if each.user in {*free, EVERYONE}
        ),
        links=tuple(linked),
        carried=tuple(
            Carried("first", user, "second") for user, form in forms.items() if form == "carried"
        ),
        confined=tuple(
            Confined("first", user, form)
            for user, form in forms.items()
            if form in ("none", "loopback")
        ),
        services=tuple(
            service_of(user, cards if user in linking else draw(NAMESPACES)) for user in USERS
        ),
        card_namespace=cards,
    )


def service_of(user: str, namespace: Namespace = "system") -> PolicyService:
    return PolicyService(
        component="first",
        unit=f"{user}.service",
        user=user,
        drops_privileges=False,
        capabilities=(),
        ambient=(),
        writes=(),
        sees_sockets=(),
        relaxes={},
        exposure=20,
        because="",
        namespace=namespace,
    )


class Sandbox:
    """A drop-in as systemd reads it: an empty value ends a list, a later one adds to it."""

    def __init__(self, drop_in: str) -> None:
        self._settings: dict[str, list[str]] = {}
        for line in drop_in.splitlines():
            setting, is_setting, value = line.partition("=")
            if is_setting and not line.startswith("#"):
                words = self._settings.setdefault(setting, [])
                words += value.split() if value else []
                if not value:
                    words.clear()

    def words(self, setting: str) -> list[str]:
        return self._settings.get(setting, [])

    @property
    def families(self) -> set[str]:
        return {*self.words("RestrictAddressFamilies")}

    @property
    def allowed(self) -> set[IPv4Network | IPv6Network]:
        local = {"localhost": ("127.0.0.0/8", "::1/128")}
        words = [each for word in self.words("IPAddressAllow") for each in local.get(word, (word,))]
        return {ip_network(each) for each in words}

    def lets_through(self, address: str) -> bool:
        """Tell whether a packet to an address, and a socket for it, gets through."""
        place = ip_address(address)
        if self.words("PrivateNetwork") == ["yes"] or FAMILIES[place.version] not in self.families:
            return False
        is_denied = self.words("IPAddressDeny") == ["any"]
        return not is_denied or any(place in network for network in self.allowed)

    def covers(self, path: str) -> bool:
        covers = [word.partition(":")[0] for word in self.words("TemporaryFileSystem")]
        return any(Path(cover) in Path(path).parents for cover in covers)


def own_flows(policy: Policy, service: PolicyService) -> Iterator[DirectFlow]:
    """Give what the rulesets let the service's user send, where the service runs."""
    everyone = set() if service.user in policy.bound_users else {EVERYONE}
    for flow in policy.direct:
        if flow.namespace == service.namespace and flow.user in {service.user, *everyone}:
            yield flow


def listeners_of(policy: Policy, service: PolicyService) -> list[PolicyListener]:
    part = policy.within(service.namespace)
    return [each for each in part.listeners if each.user == service.user]


def faults_of(policy: Policy, service: PolicyService, drop_in: str) -> set[str]:
    """Name what a sandbox keeps from its service though the policy gives it."""
    sandbox = Sandbox(drop_in)
    faults = {*listening_faults(policy, service, sandbox)}
    versions = (4, 6) if policy.within(service.namespace).has_ipv6 else (4,)
    for flow in own_flows(policy, service):
        sent = [each for each in flow.addresses or STRANGE if ip_address(each).version in versions]
        if not all(sandbox.lets_through(address) for address in sent):
            faults.add("a direct flow does not fit")
    links = {each.link for each in policy.links if each.user == service.user}
    if links and service.namespace == policy.card_namespace:
        faults |= set() if "AF_PACKET" in sandbox.families else {"a link flow does not fit"}
    if any(each.user == service.user and sandbox.covers(each.path) for each in policy.sockets):
        faults.add("its own socket is hidden")
    return faults


def listening_faults(policy: Policy, service: PolicyService, sandbox: Sandbox) -> Iterator[str]:
    """Name what a sandbox keeps from the listeners of its service."""
    for listener in listeners_of(policy, service):
        family = FAMILIES[ip_address(listener.address).version]
        if sandbox.words("PrivateNetwork") or family not in sandbox.families:
            yield "it cannot listen"
        elif not listener.is_loopback and not sandbox.lets_through(STRANGE[family == "AF_INET6"]):
            yield "others do not get to its listener"


def near_faults(policy: Policy, service: PolicyService, drop_in: str) -> set[str]:
    """Tell whether a sandbox keeps the listeners of this machine from its service."""
    reach = {each.reach for each in policy.confined if each.user == service.user}
    is_right = "none" in reach or Sandbox(drop_in).lets_through("127.0.0.1")
    return set() if is_right else {NEAR_IS_FAR}


def namespace_faults(service: PolicyService, drop_in: str) -> set[str]:
    """Tell whether a sandbox puts its service elsewhere than the policy has it."""
    sandbox = Sandbox(drop_in)
    inside = sandbox.words("NetworkNamespacePath") == ["/run/netns/carrier"]
    is_wrong = inside != (service.namespace == "carrier") and not sandbox.words("PrivateNetwork")
    return {"it is in another namespace"} if is_wrong else set()


def gaps_of(policy: Policy, service: PolicyService, drop_in: str) -> set[str]:
    """Name what a sandbox without relaxations leaves open that the policy does not."""
    sandbox = Sandbox(drop_in)
    gaps = set()
    part = policy.within(service.namespace)
    flows = [*own_flows(policy, service)]
    listeners = listeners_of(policy, service)
    links = [each for each in part.links if each.user == service.user]
    reach = {each.reach for each in policy.confined if each.user == service.user}
    is_private = sandbox.words("PrivateNetwork") == ["yes"]
    if "none" in reach and not listeners and not is_private:
        gaps.add("it has a network")
    if "AF_PACKET" in sandbox.families and not links:
        gaps.add("it may send frames")
    is_open = bool(links) or any(not each.is_loopback for each in listeners)
    if not is_open and all(flow.addresses for flow in flows):
        named = {address for flow in flows for address in flow.addresses}
        gaps |= {
            "an address that no flow names"
            for address in (*FAR, *STRANGE)
            if address not in named and sandbox.lets_through(address)
        }
    if service.namespace == policy.card_namespace:
        rules = compile_capture(policy)
        seen = {address for rule in rules for address in rule.addresses}
        # The allow-list of a card has no address of a family that its links do not carry.
        far = [each for each in sandbox.allowed if not each.network_address.is_loopback]
        carried = [each for each in far if each.version == 4 or part.has_ipv6]
        if {str(each.network_address) for each in carried} - seen:
            gaps.add("an address that the allow-list of the card does not name")
    own = {each.path for each in policy.sockets if each.user == service.user}
    near = {*own, *service.sees_sockets}
    for each in policy.sockets:
        is_near = any(Path(each.path).parts[:3] == Path(path).parts[:3] for path in near)
        if not is_near and not sandbox.covers(each.path):
            gaps.add("the socket of another")
    return gaps


@settings(max_examples=100, deadline=None)
@given(policies())
def test_sandboxes_agree_with_flows_listeners_and_allow_list(policy: Policy) -> None:
    for service in policy.services:
        drop_in = format_drop_in(policy, service)
        assert faults_of(policy, service, drop_in) == set(), drop_in
        assert gaps_of(policy, service, drop_in) == set(), drop_in
        assert near_faults(policy, service, drop_in) == set(), drop_in
        assert namespace_faults(service, drop_in) == set(), drop_in


@pytest.mark.parametrize("profile", [*SHIPPED, EVERYTHING], ids=lambda path: path.stem)
def test_relaxed_sandboxes_of_shipped_services_let_their_flows_through(profile: Path) -> None:
    """Of several services of one user, one is enough: each has its own of what the user may do."""
    policy = compile_policy(resolve_shipped(profile))
    flows = tuple(each for each in policy.direct if each.user != EVERYONE)
    faults: dict[tuple[str, Namespace], list[set[str]]] = {}
    for service in policy.services:
        drop_in = format_drop_in(policy, service)
        found = faults_of(replace(policy, direct=flows), service, drop_in)
        faults.setdefault((service.user, service.namespace), []).append(found)
        if "NetworkNamespacePath" not in service.relaxes:
            assert namespace_faults(service, drop_in) == set(), service.unit
    # What listens as root is a socket unit: its service is of another user.
    del faults["root", "system"]
    assert {
        user: each for user, found in faults.items() if (each := set.intersection(*found))
    } == {}


NEAR_IS_FAR = "it reaches no listener of this machine"
KNOWN = DirectFlow("first", "one", "tcp", (443,), (FAR[0],))
OPEN = PolicyListener("first", "one", "tcp", "0.0.0.0", 8000, (EVERYONE,))
SENDS = Policy("made-up", direct=(KNOWN,))
IS_NONE = Policy("made-up", confined=(Confined("first", "one", "none"),))
HAS_SOCKETS = Policy(
    "made-up",
    sockets=(
        PolicySocket("first", "one", "/run/one/socket", ()),
        PolicySocket("first", "two", "/run/two/socket", ()),
    ),
)
LINKED = Policy("made-up", links=(LinkFlow("first", "dhcp4", "one"),))
BROKEN: Mapping[str, tuple[Policy, str, str, set[str]]] = {
    "flow": (SENDS, " 192.0.2.1", "", {"a direct flow does not fit"}),
    "family": (SENDS, "AF_INET ", "", {"a direct flow does not fit", NEAR_IS_FAR}),
    "deny": (SENDS, "IPAddressDeny=any\n", "", {"an address that no flow names"}),
    "allow": (
        SENDS,
        "192.0.2.1",
        "192.0.2.1 203.0.113.3",
        {
            "an address that no flow names",
            "an address that the allow-list of the card does not name",
        },
    ),
    "network": (IS_NONE, "PrivateNetwork=yes\n", "", {"it has a network"}),
    "frames": (SENDS, "AF_INET ", "AF_INET AF_PACKET ", {"it may send frames"}),
    "links": (LINKED, "AF_PACKET ", "", {"a link flow does not fit"}),
    "listener": (
        Policy("made-up", listeners=(OPEN,)),
        "RestrictAddressFamilies=AF_INET ",
        "IPAddressDeny=any\nRestrictAddressFamilies=AF_INET ",
        {"others do not get to its listener", NEAR_IS_FAR},
    ),
    "no-listener": (
        Policy("made-up", listeners=(replace(OPEN, address="127.0.0.1"),)),
        "AF_INET ",
        "",
        {"it cannot listen", NEAR_IS_FAR},
    ),
    "own-socket": (
        HAS_SOCKETS,
        "TemporaryFileSystem=/run/two",
        "TemporaryFileSystem=/run/one:ro\nTemporaryFileSystem=/run/two",
        {"its own socket is hidden"},
    ),
    "foreign-socket": (
        HAS_SOCKETS,
        "TemporaryFileSystem=/run/two",
        "TemporaryFileSystem=/run/2",
        {"the socket of another"},
    ),
    "namespace": (
        SENDS,
        "[Service]\n",
        "[Service]\nNetworkNamespacePath=/run/netns/carrier\n",
        {"it is in another namespace"},
    ),
}


@pytest.mark.parametrize("case", BROKEN)
def test_agreement_tells_a_broken_sandbox(case: str) -> None:
    policy, old, new, expected = BROKEN[case]
    whole = format_drop_in(policy, service_of("one"))
    assert told(policy, whole) == set()
    assert old in whole
    assert told(policy, whole.replace(old, new, 1)) == expected


def told(policy: Policy, drop_in: str) -> set[str]:
    service = service_of("one")
    faults = faults_of(policy, service, drop_in) | namespace_faults(service, drop_in)
    faults |= near_faults(policy, service, drop_in)
    return faults | gaps_of(policy, service, drop_in)
