# SPDX-License-Identifier: GPL-3.0-or-later
"""Rules across components: a port or a user number belongs to one of them."""

from collections import defaultdict
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from gnoppix_build.catalog.declaration import FromOption
from gnoppix_build.catalog.load import Catalog
from gnoppix_build.catalog.network import Listener
from gnoppix_build.diagnostics import Diagnostic, Note, Span
from gnoppix_build.language.node import span_of
from gnoppix_build.resolve.model import ResolvedComponent

_ANY_ADDRESS: Final = frozenset(("*", "0.0.0.0", "::"))  # noqa: S104 - compared, never bound


@dataclass(frozen=True, slots=True)
class _Holder:
    component: str
    span: Span
    how: str
    option: str | None = None
    address: str = ""


def check_ports(
    components: Sequence[ResolvedComponent], catalog: Catalog, profiles: Collection[str]
) -> Iterator[Diagnostic]:
    """Find listeners that want the same port of the same address; `profiles` are file names."""
    wanted: dict[tuple[str, int], list[_Holder]] = defaultdict(list)
    for component in components:
        for index, listener in enumerate(component.manifest.listens):
            if component.holds(listener.when):
                port, holder = _hold_port(component, index, listener, catalog)
                wanted[listener.protocol, port].append(holder)
    for (protocol, port), holders in wanted.items():
        taken = [each for each in holders if any(_meet(each, other) for other in holders)]
        if taken:
            yield _tell(f"the {protocol} port `{port}`", "port-taken", taken, profiles)


def check_users(
    components: Sequence[ResolvedComponent], catalog: Catalog, profiles: Collection[str]
) -> Iterator[Diagnostic]:
    """Find user names and numbers that two components want."""
    wanted: dict[str, list[_Holder]] = defaultdict(list)
    for component in components:
        root = catalog.components[component.name].root
        for index, user in enumerate(component.manifest.users):
            if component.holds(user.when):
                for key, thing in (("uid", f"uid `{user.uid}`"), ("name", f"user `{user.name}`")):
                    place = span_of(root, ("users", index, key))
                    holder = _Holder(component.name, place, f"`{component.name}` takes it here")
                    wanted[f"the {thing}"].append(holder)
    for thing, holders in wanted.items():
        if len(holders) > 1:
            yield _tell(thing, "uid-taken", holders, profiles)


def _hold_port(
    component: ResolvedComponent, index: int, listener: Listener, catalog: Catalog
) -> tuple[int, _Holder]:
    name = component.name
    (address,) = component.addresses_of((listener.address,))
    if isinstance(listener.port, FromOption):
        option = listener.port.option
        value = component.options[option]
        assert isinstance(value, int), "the manifest was checked: the option is a port"
        definitions = component.definitions[option]
        default = " (its default)" if len(definitions) == 1 else ""
        how = f"`{name}` takes it here{default}"
        return value, _Holder(name, definitions[-1].span, how, option, address)
    root = catalog.components[name].root
    span = span_of(root, ("listens", index, "port"))
    how = f"`{name}` always takes it"
    return listener.port, _Holder(name, span, how, None, address)


def _meet(one: _Holder, other: _Holder) -> bool:
    if one is other:
        return False
    return one.address == other.address or bool(_ANY_ADDRESS & {one.address, other.address})


def _tell(
    thing: str, code: str, holders: Sequence[_Holder], profiles: Collection[str]
) -> Diagnostic:
    first, *others = sorted(holders, key=lambda each: (each.span.file not in profiles, each.span))
    names = " and ".join(dict.fromkeys(f"`{each.component}`" for each in (first, *others)))
    message = f"{thing} is wanted by {names}"
    if len({each.component for each in holders}) == 1:
        message = f"{thing} is wanted twice by {names}"
    notes = tuple(Note(each.how, each.span) for each in others)
    return Diagnostic(code, message, first.span, notes, _way_out(first, others))


def _way_out(first: _Holder, others: Sequence[_Holder]) -> str:
    adjustable = next((each for each in (first, *others) if each.option), None)
    rest = next((each for each in others if each.component != first.component), None)
    if adjustable is None:
        return f"drop `{first.component}`" + (f" or `{rest.component}`" if rest else "")
    advice = f"give `{adjustable.component}` another `{adjustable.option}`"
    return advice + (f", or drop `{rest.component}`" if rest else "")
