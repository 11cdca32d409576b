# SPDX-License-Identifier: GPL-3.0-or-later
"""Combinations that cannot work: refused with every place named; whole messages are compared."""

import re
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from profile_workbench import (
    COMPONENTS,
    MISTAKES,
    WrittenSources,
    load_test_catalog,
    printed,
    resolve_texts,
)

from gnoppix_build.app.profile import load_profile
from gnoppix_build.catalog.load import COMPONENTS_FOLDER, KINDS_FOLDER
from gnoppix_build.diagnostics import Span
from gnoppix_build.effects.sources import SourceFolders
from gnoppix_build.render.last_words import folder_holds
from gnoppix_build.resolve.choose import choose_components
from gnoppix_build.resolve.inherit import load_family
from gnoppix_build.resolve.resolve import Resolution, resolve
from gnoppix_build.resolve.rules import check_selection
from gnoppix_build.resolve.selection import Selection
from gnoppix_build.resolve.sysctl import meaning_of, setting_name

CONFLICTS = sorted((MISTAKES / "conflicts").glob("*.yaml"))
# All but the profile that the others extend, which is fine.
SHIPPED = sorted(path for path in (MISTAKES / "shipped").glob("*.yaml") if path.stem != "base")
SHIPPED_PLACE = re.compile(r"(gnoppix_build/components/\S+):[0-9]+:[0-9]+")


def resolve_file(profile: Path) -> Resolution:
    reader = SourceFolders([profile.parent])
    return resolve(profile, load_test_catalog(), reader, "image")


@pytest.mark.parametrize("profile", CONFLICTS, ids=lambda profile: profile.stem)
def test_resolve_refuses_a_combination_that_cannot_work(profile: Path) -> None:
    resolution = resolve_file(profile)
    assert resolution.resolved is None
    assert masked(resolution) == profile.with_suffix(".expected").read_text()


def masked(resolution: Resolution) -> str:
    """Print without the places in shipped data, which change for other reasons."""
    return SHIPPED_PLACE.sub(r"\1:LINE:COLUMN", printed(resolution)) + "\n"


def test_resolve_lets_a_refusal_have_its_exception() -> None:
    components = "components:\n  base: {}\n  gates: {guarded: on}\n"
    resolution = resolve_texts({"p/top.yaml": f"version: 1\nname: top\n{components}"})
    assert printed(resolution) == ""


@pytest.mark.parametrize("name", ["shared-paths", "file-and-folder"])
def test_load_profile_refuses_paths_that_two_components_bring(name: str) -> None:
    profile = MISTAKES / f"{name}.yaml"
    resolution = load_with_shipped(profile)
    assert resolution.resolved is None
    assert printed(resolution) + "\n" == profile.with_suffix(".expected").read_text()


def test_load_profile_refuses_what_has_the_last_word_on_a_sandbox() -> None:
    profile = MISTAKES / "sandbox-undone.yaml"
    resolution = load_with_shipped(profile)
    assert resolution.resolved is None
    assert masked(resolution) == profile.with_suffix(".expected").read_text()


@pytest.mark.parametrize(
    ("folder", "holds"),
    [
        ("a-b@.service", True),
        ("a-b@one.service", True),
        ("a-.service", True),
        ("service", True),
        ("a-b.service", False),
        ("a-bc@.service", False),
        ("b-.service", False),
        ("a-.socket", False),
        ("socket", False),
    ],
)
def test_folder_of_drop_ins_is_that_of_the_units_that_systemd_reads_it_for(
    folder: str, holds: bool
) -> None:
    assert folder_holds(folder, "a-b@.service") is holds


def test_load_profile_counts_no_template_that_yields_nothing(tmp_path: Path) -> None:
    profile = tmp_path / "mine.yaml"
    profile.write_text(
        "version: 1\nname: mine\ncomponents: {base: {}, painter: {}, sculptor: {}}\n"
    )
    resolution = load_with_shipped(profile)
    assert [each.message for each in resolution.diagnostics] == [
        "the path `/etc/modprobe.d/60-gnoppix-painter.conf` is wanted by `painter` and `sculptor`"
    ]


def codes(components: str, packages: str = "[]") -> set[str]:
    text = (
        f"version: 1\nname: top\ncomponents: {{base: {{}}, {components}}}\npackages: {packages}\n"
    )
    return {each.code for each in resolve_texts({"p/top.yaml": text}).diagnostics}


@pytest.mark.parametrize(
    ("components", "packages"),
    [
        pytest.param("vault: {}, workshop: {bridge: snowflake}", "[podman]", id="nothing-ended"),
        pytest.param(
            "vault: {namespaces: off, modules: off, fixed-code: on}", "[vim]", id="nothing-needed"
        ),
        pytest.param("vault: {icmp: off, mtu-probing: on}, workshop: {}", "[]", id="saved"),
        pytest.param("tunnel: {}, burrow: {}", "[nebula, openvpn]", id="given"),
        pytest.param("tunnel: {}, vault: {forwarding: off}", "[openvpn]", id="forwards-nothing"),
        pytest.param("vault: {reverse-path: strict}, onion: {}", "[podman]", id="loopback-only"),
        pytest.param("onion: {}, onion-twin: {way: twin}", "[]", id="a-way-with-an-end"),
        pytest.param("onion: {bridges: obfs4, sandbox: off}", "[]", id="not-refused"),
        pytest.param("onion: {}, roamer: {}", "[]", id="debian-accounts"),
        pytest.param(
            "exact-tuner: {}, tunnel: {}, workshop: {}",
            "[docker.io, wireguard-tools]",
            id="pattern-yields",
        ),
        pytest.param(
            "vault: {icmp: off}, counter-tuner: {}, workshop: {}", "[]", id="saved-in-hex"
        ),
        pytest.param("engine: {relaxed: on}", "[]", id="relaxed"),
        pytest.param("scripts: {relaxed: on}", "[nodejs]", id="relaxed-for-a-package"),
        pytest.param("onion: {}, tunnel: {}", "[]", id="ports-of-two-namespaces"),
        pytest.param("onion: {}, two-faced: {way: carrier}", "[]", id="ways-of-two-namespaces"),
        pytest.param("onion: {}, two-faced: {way: onion}", "[]", id="one-way-for-each"),
    ],
)
def test_resolve_lets_be_what_works(components: str, packages: str) -> None:
    assert codes(components, packages) == set()


def test_equal_kernel_settings_are_no_conflict() -> None:
    """`workshop` and `rival` give `net.ipv4.ping_group_range` one value in two spellings."""
    resolution = resolve_file(MISTAKES / "conflicts" / "two-owners.yaml")
    told = [each.message for each in resolution.diagnostics if each.code == "sysctl-taken"]
    assert told == [
        "`rival` and `workshop` want different values of the kernel setting `kernel.sysrq`"
    ]


@pytest.mark.parametrize(
    ("written", "name"),
    [
        ("net.ipv4.conf.all.rp_filter", "net.ipv4.conf.all.rp_filter"),
        ("net/ipv4/conf/all/rp_filter", "net.ipv4.conf.all.rp_filter"),
        ("-net.ipv4.ip_forward", "net.ipv4.ip_forward"),
        ("net/ipv4/conf/enp3s0.200/forwarding", "net.ipv4.conf.enp3s0/200.forwarding"),
        ("net.ipv4.conf.enp3s0/200.forwarding", "net.ipv4.conf.enp3s0/200.forwarding"),
    ],
)
def test_setting_name_knows_both_ways_to_write_a_key(written: str, name: str) -> None:
    assert setting_name(written) == name


@pytest.mark.parametrize(
    ("value", "meaning"),
    [
        ("0", (0,)),
        ("00", (0,)),
        ("0x1F", (31,)),
        ("010", (8,)),
        ("-1", (-1,)),
        ("1 \t 0", (1, 0)),
        ("08", ("08",)),
        ("|/bin/false", ("|/bin/false",)),
    ],
)
def test_meaning_of_a_kernel_setting_is_what_the_kernel_reads(
    value: str, meaning: tuple[int | str, ...]
) -> None:
    assert meaning_of(value) == meaning


CHOICES = st.lists(
    st.sampled_from(
        [
            "console: {}",
            "mail: {}",
            "onion-twin: {mode: transparent, way: twin}",
            "onion: {mode: transparent, way: twin, bridges: obfs4}",
            "painter: {}",
            "relay: {}",
            "rival: {}",
            "roamer: {late: on, lost: on}",
            "counter-tuner: {}",
            "tuner: {}",
            "tunnel: {}",
            "two-faced: {way: both}",
            "vault: {namespaces: off, modules: off, reverse-path: strict, signed-modules: on}",
            "vault: {fixed-code: on, icmp: off, all-tcp: redirected, network: tcp-only}",
            "web: {port: 9050}",
            "workshop: {bridge: snowflake}",
        ]
    ),
    unique_by=lambda line: line.partition(":")[0],
)
PACKAGES = st.lists(
    st.sampled_from("docker.io firefox-esr onionshare openvpn podman zfs-dkms".split()), unique=True
)


def resolve_lines(lines: Sequence[str], packages: Sequence[str]) -> Resolution:
    body = "".join(f"  {line}\n" for line in ("base: {}", *lines))
    text = f"version: 1\nname: top\ncomponents:\n{body}packages: [{', '.join(packages)}]\n"
    return resolve_texts({"p/top.yaml": text})


@settings(deadline=None)
@given(CHOICES, PACKAGES)
def test_every_place_of_a_conflict_lies_inside_its_file(
    lines: list[str], packages: list[str]
) -> None:
    resolution = resolve_lines(lines, packages)
    for each in resolution.diagnostics:
        for span in (each.span, *(note.span for note in each.notes if note.span)):
            text = resolution.sources[span.file].split("\n")
            assert 1 <= span.line <= span.end_line <= len(text)
            assert 1 <= span.column <= len(text[span.line - 1])
            assert span.end_column <= len(text[span.end_line - 1]) + 1


@settings(deadline=None)
@given(CHOICES, PACKAGES, st.randoms(use_true_random=False))
def test_rules_do_not_depend_on_the_order_of_components(
    lines: list[str], packages: list[str], chance: Random
) -> None:
    selection = select(lines, packages)
    shuffled = list(selection.components)
    chance.shuffle(shuffled)
    other = replace(selection, components=tuple(shuffled))
    assert set(check_selection(selection)) == set(check_selection(other))


def select(lines: Sequence[str], packages: Sequence[str]) -> Selection:
    """Select what a profile of these lines selects; its packages stand below each other."""
    body = "".join(f"  {line}\n" for line in ("base: {}", *lines))
    texts = {"p/top.yaml": f"version: 1\nname: top\ncomponents:\n{body}"}
    family = load_family(Path("p/top.yaml"), (), WrittenSources(texts))
    catalog = load_test_catalog()
    components = choose_components(family.members, catalog).components
    return Selection(
        components=tuple(components.values()),
        packages={
            name: Span("p/top.yaml", number, 1, number, 2)
            for number, name in enumerate(packages, start=100)
        },
        catalog=catalog,
    )


@pytest.mark.parametrize("profile", SHIPPED, ids=lambda profile: profile.stem)
def test_shipped_components_are_refused_together_where_they_cannot_work(profile: Path) -> None:
    resolution = load_with_shipped(profile)
    assert resolution.resolved is None
    assert masked(resolution) == profile.with_suffix(".expected").read_text()


def load_with_shipped(profile: Path) -> Resolution:
    """Load a profile with the shipped components and those of the tests."""
    reader = SourceFolders([profile.parent, MISTAKES, COMPONENTS_FOLDER, KINDS_FOLDER])
    return load_profile(str(profile), [COMPONENTS], reader, "image", [])
