# SPDX-License-Identifier: GPL-3.0-or-later
"""Resolving: inheritance, options, the graph, claims; whole messages are compared."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st
from profile_workbench import (
    MISTAKES,
    load_test_catalog,
    printed,
    resolve_texts,
)

from gnoppix_build.catalog.load import load_catalog
from gnoppix_build.effects.sources import SourceFolders
from gnoppix_build.language.source import PACKAGE_FOLDER
from gnoppix_build.resolve.model import Resolved
from gnoppix_build.resolve.resolve import resolve
from gnoppix_build.resolve.schema import component_schema, profile_schema

HEAD = "version: 1\nname: {name}\n"


def profile(name: str, rest: str) -> str:
    return HEAD.format(name=name) + rest


def resolved(**profiles: str) -> Resolved:
    texts = {f"p/{name}.yaml": profile(name, rest) for name, rest in profiles.items()}
    resolution = resolve_texts(texts)
    assert printed(resolution) == ""
    assert resolution.resolved is not None
    return resolution.resolved


def codes(**profiles: str) -> list[str]:
    texts = {f"p/{name}.yaml": profile(name, rest) for name, rest in profiles.items()}
    return [each.code for each in resolve_texts(texts).diagnostics]


@pytest.mark.parametrize("name", ["twelve", "clash"])
def test_resolve_tells_every_mistake_at_its_place(name: str) -> None:
    reader = SourceFolders([MISTAKES, PACKAGE_FOLDER])
    resolution = resolve(MISTAKES / f"{name}.yaml", load_test_catalog(), reader, "image")
    assert resolution.resolved is None
    expected = (MISTAKES / f"{name}.expected").read_text(encoding="utf-8")
    assert printed(resolution) + "\n" == expected


def test_resolve_decides_options_and_keeps_their_definitions() -> None:
    found = resolved(top="components: {base: {}, web: {port: 81, secure: off, hosts: [a]}}\n")
    web = found.components[1]
    assert dict(web.options) == {"port": 81, "mode": "quiet", "secure": False, "hosts": ("a",)}
    assert [each.value for each in web.definitions["port"]] == ["8080", "81"]
    assert [each.value for each in web.definitions["mode"]] == ["quiet"]


def test_resolve_merges_parents() -> None:
    found = resolved(
        top="extends: [one, two]\npackages: {remove: [vim]}\ncomponents: {console: off}\n",
        one="extends: [base]\nlocale: de_DE.UTF-8\npackages: [vim, nano]\n",
        two="extends: [base]\npackages: [mc]\ncomponents: {web: {port: 90}}\n",
        base="locale: C.UTF-8\nkeyboard: de\npackages: [less]\n"
        "components: {base: {}, console: {}, web: {mode: loud, port: 91}}\n",
    )
    assert [each.name for each in found.components] == ["base", "web"]
    assert (found.components[1].options["mode"], found.components[1].options["port"]) == (
        "loud",
        90,
    )
    assert (found.locale, found.keyboard, found.name) == ("de_DE.UTF-8", "de", "top")
    assert found.packages == ("less", "nano", "mc")


def test_resolve_lists_both_places_of_a_conflict_between_parents() -> None:
    texts = {
        "p/top.yaml": profile("top", "extends: [one, two]\n"),
        "p/one.yaml": profile("one", "locale: de_DE.UTF-8\n"),
        "p/two.yaml": profile("two", "locale: C.UTF-8\n"),
    }
    assert printed(resolve_texts(texts)) == (
        "p/two.yaml:3:9: error[profile-conflict]: unrelated profiles give `locale` different"
        " values\n"
        "  |\n"
        "3 | locale: C.UTF-8\n"
        "  |         ^^^^^^^\n"
        "  = note: p/one.yaml:3:9: another value is given here\n"
        "  = hint: say `locale` in the profile that extends both"
    )


def test_resolve_lets_a_child_settle_what_its_parents_say_differently() -> None:
    found = resolved(
        top="extends: [one, two]\nlocale: fr_FR.UTF-8\ncomponents: {base: {}}\n",
        one="locale: de_DE.UTF-8\ncomponents: {base: {}}\n",
        two="extends: [one]\nlocale: C.UTF-8\ncomponents: {base: off}\n",
    )
    assert (found.locale, [each.name for each in found.components]) == ("fr_FR.UTF-8", ["base"])


def test_resolve_refuses_unrelated_parents_that_ask_for_it_and_take_it_out() -> None:
    found = codes(
        top="extends: [one, two]\n",
        one="extends: [both]\ncomponents: {base: off}\n",
        two="components: {base: {}}\n",
        both="components: {base: {}}\n",
    )
    assert found == ["profile-conflict"]


def test_resolve_names_a_profile_that_is_not_there() -> None:
    (diagnostic,) = resolve_texts({}).diagnostics
    assert (diagnostic.code, diagnostic.message) == (
        "file-missing",
        "`p/top.yaml` does not exist",
    )


def test_resolve_refuses_a_cycle() -> None:
    assert codes(top="extends: [one]\n", one="extends: [top]\n") == ["extends-cycle"]


def test_resolve_suggests_a_parent() -> None:
    texts = {
        "p/top.yaml": profile("top", "extends: [commn]\n"),
        "p/common.yaml": profile("common", ""),
    }
    (diagnostic,) = resolve_texts(texts).diagnostics
    assert (diagnostic.code, diagnostic.hint) == ("unknown-profile", "did you mean `common`?")


def test_resolve_reads_a_ladder_of_diamonds_once() -> None:
    steps = {
        f"{side}{n}": f"extends: [a{n - 1}, b{n - 1}]\n" if n else "packages: [vim]\n"
        for n in range(25)
        for side in "ab"
    }
    assert resolved(top="extends: [a24, b24]\n", **steps).packages == ("vim",)


def test_resolve_drops_components_of_another_target_with_a_note() -> None:
    texts = {"p/top.yaml": profile("top", "components: {base: {}, console: {}}\n")}
    found = resolve_texts(texts, target="machine").resolved
    assert found is not None
    assert [each.name for each in found.components] == ["base"]
    assert found.notes == (
        "`console` is left out: it does not apply to a target of type `machine`",
    )


def test_resolve_warns_of_an_off_that_takes_nothing_out() -> None:
    assert codes(top="components: {base: {}, web: off}\n") == ["nothing-to-remove"]


@given(st.permutations(["base: {}", "relay: {}", "web: {port: 81}", "mail: off"]))
def test_resolve_does_not_depend_on_the_order_of_components(lines: list[str]) -> None:
    body = "components:\n" + "".join(f"  {line}\n" for line in lines)
    found = resolve_texts({"p/top.yaml": profile("top", body)}).resolved
    assert found is not None
    assert [each.name for each in found.components] == ["base", "relay", "web"]


def test_profile_schema_lists_components_and_their_options() -> None:
    schema = json.loads(json.dumps(profile_schema(load_test_catalog())))
    web = schema["properties"]["components"]["properties"]["web"]["anyOf"][1]["properties"]
    assert web["mode"]["enum"] == ["quiet", "loud"]
    assert web["port"]["maximum"] == 65535
    assert schema["$schema"] == component_schema()["$schema"]
    assert "kernel-modules" in component_schema()["properties"]


def test_every_component_of_the_package_can_be_loaded() -> None:
    catalog = load_catalog([PACKAGE_FOLDER / "components"], SourceFolders([PACKAGE_FOLDER]))
    assert catalog.diagnostics == ()


def test_minimal_profile_has_no_mistake() -> None:
    folder = PACKAGE_FOLDER.parent / "profiles"
    reader = SourceFolders([PACKAGE_FOLDER, folder])
    catalog = load_catalog([PACKAGE_FOLDER / "components"], reader)
    for target in ("image", "machine"):
        resolution = resolve("minimal", catalog, reader, target, [folder])
        assert printed(resolution) == ""
