# SPDX-License-Identifier: GPL-3.0-or-later
"""Profiles: hostile values are refused with a code, and a new profile is a good one."""

import pytest

from gnoppix_build.language import decode, parse
from gnoppix_build.profile import Profile, new_profile_text

HEAD = "version: 1\nname: a\n"


def codes(text: str) -> list[str]:
    document = parse(text, "f")
    found = list(document.diagnostics)
    if document.root is not None:
        found += decode(document.root, Profile).diagnostics
    return [each.code for each in found]


@pytest.mark.parametrize(
    ("line", "code"),
    [
        ("packages: [--option]", "not-a-package"),
        ("packages: ['a;reboot']", "not-a-package"),
        ("packages: [../../etc/passwd]", "not-a-package"),
        ('packages: ["a\\nb"]', "not-a-package"),
        ("packages: [Vim]", "not-a-package"),
        ("packages: {replac: [vim]}", "unknown-key"),
        ("extends: [../up]", "not-a-profile"),
        ("extends: [/etc/passwd]", "not-a-profile"),
        ("extends: [a/../../b.yaml]", "not-a-profile"),
        ("extends: [.hidden]", "not-a-profile"),
        ("extends: ['a b']", "not-a-profile"),
        ("mirror: ftp://mirror.example/debian", "not-a-mirror"),
        ("mirror: file:///etc", "not-a-mirror"),
        ("mirror: https://user@mirror.example/", "not-a-mirror"),
        ("mirror: 'https://mirror.example/ x'", "not-a-mirror"),
        ("locale: en_US.UTF-8;id", "not-a-locale"),
        ("keyboard: 'us\"'", "not-a-keyboard"),
        ("components: {../tor: {}}", "not-a-name"),
        ("components: {tor: on}", "not-options"),
        ("components: {tor: 'off'}", "not-options"),
        ("machine: {memory: 4}", "not-a-size"),
        ("machine: {disk: [1]}", "wrong-type"),
        ("areas: [universe]", "unknown-value"),
        ("outputs: {iso: {compression: best}}", "unknown-value"),
    ],
)
def test_profile_refuses(line: str, code: str) -> None:
    assert codes(f"{HEAD}{line}\n") == [code]


@pytest.mark.parametrize("name", ["../x", "a/b", "-rf", "A", "a b", "''", "a;b", '"a\\nb"'])
def test_profile_refuses_a_name(name: str) -> None:
    assert codes(f"version: 1\nname: {name}\n") == ["not-a-name"]


def test_profile_tells_what_is_missing() -> None:
    assert codes("summary: x\n") == ["missing-key", "missing-key"]


def test_profile_reads_every_key() -> None:
    text = HEAD + (
        "summary: 'a: b'\nextends: [b, parts/c.yaml]\nsuite: trixie\n"
        "areas: [main, non-free-firmware]\narchitecture: amd64\n"
        "machine: {memory: 4 GiB, disk: 512 MiB}\nmirror: http://mirror.example:8080/debian\n"
        "locale: de_DE.UTF-8\nkeyboard: de\n"
        "components: {x: off, y: {mode: no, list: [a, b]}}\npackages: {remove: [g++, 0ad]}\n"
        "outputs: {iso: {compression: release}}\n"
    )
    document = parse(text, "f")
    assert document.root is not None
    decoded = decode(document.root, Profile)
    assert decoded.diagnostics == ()
    assert decoded.value is not None
    assert decoded.value.machine.memory == 4 * 1024**3
    assert decoded.value.components == {"x": "off", "y": {"mode": "no", "list": ("a", "b")}}


def test_new_profile_text_has_no_mistake() -> None:
    assert codes(new_profile_text("mine")) == []
