# SPDX-License-Identifier: GPL-3.0-or-later
"""From what the components declare to the network policy."""

from collections.abc import Iterable, Iterator, Mapping
from typing import Final, assert_never

from gnoppix_build.catalog.debian_accounts import DEBIAN_USERS
from gnoppix_build.catalog.network import (
    CarriedEgress,
    ConfinedEgress,
    DirectEgress,
    InnerEgress,
    LinkEgress,
    Namespace,
)
from gnoppix_build.policy.model import (
    EVERYONE,
    Admission,
    Carried,
    Confined,
    DirectFlow,
    InnerFlow,
    LinkFlow,
    Policy,
    PolicyConsent,
    PolicyListener,
    PolicyRedirect,
    PolicyService,
    PolicySocket,
    PolicyUser,
    SocketAdmission,
)
from gnoppix_build.resolve.membership import groups_of_users
from gnoppix_build.resolve.model import Resolved, ResolvedComponent
from gnoppix_build.resolve.models import MODEL_PLACEHOLDER, find_models
from gnoppix_build.resolve.moved_cards import CARRIER
from gnoppix_build.resolve.ways import components_beneath, namespace_of

ROOT: Final = PolicyUser("root", 0)


def compile_policy(resolved: Resolved) -> Policy:
    """Gather who listens where and who may send what; the order of components is irrelevant."""
    compiler = _Compiler(resolved)
    users = tuple(sorted({*compiler.users()}))
    listeners = tuple(sorted(compiler.listeners()))
    sockets = tuple(sorted(compiler.sockets()))
    flows = tuple(compiler.flows())
    carried = tuple(sorted(each for each in flows if isinstance(each, Carried)))
    confined = tuple(sorted(each for each in flows if isinstance(each, Confined)))
    everybody = (ROOT, *users)
    return Policy(
        profile=resolved.name,
        users=users,
        listeners=listeners,
        sockets=sockets,
        direct=tuple(sorted(each for each in flows if isinstance(each, DirectFlow))),
        links=tuple(sorted(each for each in flows if isinstance(each, LinkFlow))),
        carried=carried,
        confined=confined,
        inner=tuple(sorted(each for each in flows if isinstance(each, InnerFlow))),
        redirects=tuple(sorted(compiler.redirects())),
        consents=tuple(sorted(compiler.consents())),
        services=tuple(sorted(compiler.services(), key=lambda each: each.unit)),
        matrix=tuple(_admissions(everybody, listeners, carried, confined)),
        socket_matrix=tuple(_socket_admissions(everybody, sockets)),
        card_namespace=compiler.card_namespace,
        tunnels=tuple(sorted(compiler.tunnels())),
    )


class _Compiler:
    """Reads the declarations of all components, with the namespace that each holds in."""

    def __init__(self, resolved: Resolved) -> None:
        self._components = resolved.components
        offers = {thing for each in self._components for thing in each.manifest.provides}
        self.card_namespace: Namespace = "carrier" if CARRIER in offers else "system"
        self._providers = _providers_of(self._components)
        self._beneath = components_beneath(self._components)

    def users(self) -> Iterator[PolicyUser]:
        groups = groups_of_users(self._components)
        for component in self._components:
            for user in component.manifest.users:
                if component.holds(user.when):
                    yield PolicyUser(user.name, user.uid, groups[user.name])
        for name in self._named_users() & DEBIAN_USERS.keys() - {ROOT.name}:
            yield PolicyUser(name, DEBIAN_USERS[name])

    def _named_users(self) -> frozenset[str]:
        """Name the users that some declaration lets do something."""
        manifests = [(each, each.manifest) for each in self._components]
        return frozenset(
            name
            for component, manifest in manifests
            for names, when in (
                *(((each.user,), each.when) for each in manifest.egress),
                *((each.open_to, each.when) for each in manifest.listens),
                *((each.open_to, each.when) for each in manifest.sockets),
            )
            if component.holds(when)
            for name in names
        )

    def listeners(self) -> Iterator[PolicyListener]:
        for component in self._components:
            for each in component.manifest.listens:
                if component.holds(each.when):
                    (address,) = component.addresses_of((each.address,))
                    for port in component.ports_of((each.port,)):
                        yield PolicyListener(
                            component.name,
                            each.user,
                            each.protocol,
                            address,
                            port,
                            tuple(sorted(each.open_to)),
                            self._namespace(component, each.namespace),
                            tuple(sorted(component.addresses_of(each.sources))),
                        )

    def sockets(self) -> Iterator[PolicySocket]:
        for component in self._components:
            for each in component.manifest.sockets:
                if component.holds(each.when):
                    open_to = tuple(sorted(each.open_to))
                    for path in self._paths_of(each.path):
                        yield PolicySocket(component.name, each.user, path, open_to)

    def _paths_of(self, path: str) -> Iterator[str]:
        """Give the paths that one stands for: with a placeholder, one for each model."""
        if MODEL_PLACEHOLDER not in path:
            yield path
            return
        for model in find_models(self._components):
            yield path.replace(MODEL_PLACEHOLDER, model.name)

    def flows(self) -> Iterator[DirectFlow | LinkFlow | Carried | Confined | InnerFlow]:
        for component in self._components:
            for each in component.manifest.egress:
                if component.sends(each):
                    yield from self._flows(component, each)

    def redirects(self) -> Iterator[PolicyRedirect]:
        for component in self._components:
            for each in component.manifest.redirects:
                if component.holds(each.when):
                    (port,) = component.ports_of((each.port,))
                    namespace = self._namespace(component, "system")
                    yield PolicyRedirect(component.name, each.traffic, port, namespace)

    def consents(self) -> Iterator[PolicyConsent]:
        for component in self._components:
            for each in component.manifest.consents:
                if component.holds(each.when):
                    yield PolicyConsent(component.name, each.command, each.group, each.opens)

    def services(self) -> Iterator[PolicyService]:
        linking = {
            egress.user
            for component in self._components
            for egress in component.manifest.egress
            if isinstance(egress, LinkEgress) and component.holds(egress.when)
        }
        for component in self._components:
            for each in component.manifest.services:
                if component.holds(each.when):
                    namespace = self._namespace(component, each.namespace)
                    yield PolicyService(
                        component=component.name,
                        unit=each.unit,
                        user=each.user,
                        drops_privileges=each.drops_privileges,
                        capabilities=tuple(sorted(each.capabilities)),
                        ambient=tuple(sorted(each.ambient)),
                        writes=tuple(sorted(each.writes)),
                        sees_sockets=tuple(
                            sorted(
                                path for seen in each.sees_sockets for path in self._paths_of(seen)
                            )
                        ),
                        relaxes=each.relaxes,
                        exposure=each.exposure,
                        because=each.because,
                        unconfined=each.unconfined,
                        namespace=self.card_namespace if each.user in linking else namespace,
                        mounts=each.mounts,
                        has_sandbox=each.sandbox,
                    )

    def tunnels(self) -> Iterator[str]:
        for component in self._components:
            for contribution in component.contributions:
                yield from contribution.tunnels

    def _flows(
        self,
        component: ResolvedComponent,
        egress: ConfinedEgress | CarriedEgress | DirectEgress | LinkEgress | InnerEgress,
    ) -> Iterator[DirectFlow | LinkFlow | Carried | Confined | InnerFlow]:
        match egress:
            case ConfinedEgress():
                yield Confined(component.name, egress.user, egress.reach)
            case CarriedEgress():
                namespace = self._namespace(component, egress.namespace)
                carrier = self._providers.get(egress.through, egress.through)
                yield Carried(component.name, egress.user, carrier, namespace)
            case DirectEgress():
                yield from self._direct(component, egress)
            case InnerEgress():
                namespace = self._namespace(component, "system")
                yield InnerFlow(component.name, egress.user, namespace)
            case LinkEgress():
                yield LinkFlow(component.name, egress.link, egress.user, self.card_namespace)
            case _:
                assert_never(egress)

    def _direct(self, component: ResolvedComponent, egress: DirectEgress) -> Iterator[DirectFlow]:
        namespace = self._namespace(component, egress.namespace)
        reaches: tuple[tuple[tuple[int, ...], tuple[str, ...]], ...]
        if egress.endpoints is None:
            ports = tuple(sorted(component.ports_of(egress.ports)))
            reaches = ((ports, tuple(sorted(component.addresses_of(egress.addresses)))),)
        else:
            known = component.endpoints_of(egress.endpoints)
            reaches = tuple(((port,), (address,)) for address, port in known)
        for ports, addresses in reaches:
            yield DirectFlow(
                component.name, egress.user, egress.protocol, ports, addresses, namespace
            )

    def _namespace(self, component: ResolvedComponent, declared: Namespace) -> Namespace:
        return namespace_of(component, declared, self._beneath)


def _providers_of(components: Iterable[ResolvedComponent]) -> Mapping[str, str]:
    """Map what components provide, and their own names, to the component that has it."""
    found = {thing: each.name for each in components for thing in each.manifest.provides}
    return {**found, **{each.name: each.name for each in components}}


def _admissions(
    users: Iterable[PolicyUser],
    listeners: tuple[PolicyListener, ...],
    carried: tuple[Carried, ...],
    confined: tuple[Confined, ...],
) -> Iterator[Admission]:
    carriers = {
        each.user: {other.carrier for other in carried if other.user == each.user}
        for each in carried
    }
    cut_off = {each.user for each in confined if each.reach == "none"}
    for user in users:
        for each in listeners:
            is_admitted = user.name in each.open_to
            if each.is_open_to_everyone and user.name not in cut_off:
                is_admitted = each.component in carriers.get(user.name, {each.component})
            yield Admission(
                user.name, each.protocol, each.address, each.port, is_admitted, each.namespace
            )


def _socket_admissions(
    users: Iterable[PolicyUser], sockets: tuple[PolicySocket, ...]
) -> Iterator[SocketAdmission]:
    for user in users:
        names = {user.name, *user.groups, EVERYONE}
        for each in sockets:
            is_admitted = user == ROOT or user.name == each.user or bool(names & {*each.open_to})
            yield SocketAdmission(user.name, each.path, is_admitted)
