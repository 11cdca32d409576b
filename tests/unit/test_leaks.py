# SPDX-License-Identifier: GPL-3.0-or-later
"""Known leaks as data: what is rendered of them, and what all components say of a variable."""

from collections import defaultdict
from dataclasses import replace
from pathlib import Path

from test_render import make_component

from gnoppix_build.catalog.leak import Leak
from gnoppix_build.catalog.load import COMPONENTS_FOLDER, load_catalog
from gnoppix_build.catalog.manifest import Manifest
from gnoppix_build.effects.sources import SourceFolders
from gnoppix_build.render.leaks import leak_files

ROOT = Path(__file__).parents[2]


def files_of(*leaks: Leak) -> dict[str, str]:
    manifest = Manifest(kind="hardening", summary="", leaks=leaks)
    return dict(leak_files(replace(make_component("one"), manifest=manifest)))


def test_leak_without_a_switch_renders_nothing() -> None:
    assert files_of(Leak(program="a", tells="b", source="c", by_hand="d", left="e")) == {}


def test_variable_reaches_shells_sessions_and_services() -> None:
    leak = Leak(program="parrot", tells="talks", source="x", environment={"MUTE": "a $b% c"})
    files = files_of(leak)
    assert files == {
        "/etc/environment.d/60-gnoppix-one.conf": '# parrot: talks\nMUTE="a \\$b% c"\n',
        "/etc/profile.d/gnoppix-one.sh": (
            "set -a\n. /etc/environment.d/60-gnoppix-one.conf\nset +a\n"
        ),
        "/etc/systemd/system.conf.d/60-gnoppix-one.conf": (
            '[Manager]\nDefaultEnvironment="MUTE=a $b%% c"\n'
        ),
    }


def test_keys_of_dconf_are_set_and_locked_by_folder() -> None:
    keys = {"/org/b/two": "2", "/org/a/one": "'x'", "/org/b/one": "true"}
    assert files_of(Leak(program="a", tells="b", source="c", dconf=keys)) == {
        "/etc/dconf/profile/user": "user-db:user\nsystem-db:local\n",
        "/etc/dconf/db/local.d/60-gnoppix-one": ("[org/a]\none='x'\n[org/b]\none=true\ntwo=2\n"),
        "/etc/dconf/db/local.d/locks/60-gnoppix-one": "/org/a/one\n/org/b/one\n/org/b/two\n",
    }


def test_questions_of_packages_are_answered() -> None:
    leak = Leak(program="a", tells="b", source="c", debconf={"parrot/cage": "closed"})
    path = "/usr/share/gnoppix/debconf/one.selections"
    assert files_of(leak) == {path: "parrot parrot/cage select closed\n"}


def test_components_agree_on_each_variable() -> None:
    values: dict[str, set[str]] = defaultdict(set)
    for file in COMPONENTS_FOLDER.glob("*/cases/*/expected/etc/environment.d/*.conf"):
        if file.parents[5].name != "ask":
            for line in file.read_text().splitlines():
                if line and not line.startswith("#"):
                    key, _, value = line.partition("=")
                    values[key].add(value)
    assert values["DO_NOT_TRACK"] == {"1"}
    assert {key: found for key, found in values.items() if len(found) > 1} == {}


def test_every_leak_has_a_switch_or_says_that_there_is_none() -> None:
    catalog = load_catalog([COMPONENTS_FOLDER], SourceFolders([ROOT]))
    leaks = [leak for each in catalog.components.values() for leak in each.manifest.leaks]
    assert len(leaks) > 10
    silent = [
        each.program
        for each in leaks
        if not (each.environment or each.dconf or each.debconf or each.by_hand or each.left)
    ]
    assert silent == []
