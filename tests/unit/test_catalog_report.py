# SPDX-License-Identifier: GPL-3.0-or-later
"""Components told to people and to programs, from their folders."""

import json
from collections.abc import Mapping
from pathlib import Path

from profile_workbench import WrittenSources

from gnoppix_build.catalog.load import KINDS_FOLDER, load_catalog
from gnoppix_build.report.catalog_json import catalog_document
from gnoppix_build.report.catalog_page import INDEX_FILE, catalog_pages
from gnoppix_build.report.catalog_text import catalog_text
from gnoppix_build.report.component import DescribedComponent, describe_component

MANIFEST = """\
kind: network
summary: A relay with <marks> and *stars*
requires: [base]
packages: [relay]
optional:
  - packages: [relay-obfuscation]
    when: {cover: ["on"]}
users:
  - {name: relay_d, uid: 120}
listens:
  - {protocol: tcp, address: 127.0.0.1, port: {option: port}, user: relay_d, open-to: [_reader]}
egress:
  - {user: relay_d, protocol: tcp, ports: [443], when: {cover: ["on"]}}
options:
  port: {type: port, default: 8080, doc: Where `_reader` asks., example: 8081}
  cover: {type: switch, default: off, doc: Hide what it is., example: on}
"""
CHECKS = '''\
"""Checks."""

import pytest


def helper():
    """Not a check."""


@pytest.mark.static
@pytest.mark.running
def test_relay_is_there(host):
    """The relay is there.

    And more that is not of the promise.
    """


@pytest.mark.running
@pytest.mark.destructive
def test_relay_ends(host):
    """It ends."""
'''
SOURCES: Mapping[str, str] = {
    f"{KINDS_FOLDER}/network.yaml": "layer: packages\nsummary: Networks\n",
    "c/relay/component.yaml": MANIFEST,
    "c/relay/check_relay.py": CHECKS,
    "c/relay/README.md": "# relay\n\nAnswers a `threat`.\n",
}
TEXT = """\
relay (network): A relay with <marks> and *stars*
    needs
        requires base
    options
        `port`: port, default `8080`. Where `_reader` asks.
        `cover`: switch, default `off`. Hide what it is.
    listens
        tcp 127.0.0.1 port `8080` (`port`), user relay_d, open to _reader
    egress
        relay_d sends tcp to ports 443 of any host, when `cover` is `on`
    system
        packages: relay
        packages: relay-obfuscation, when `cover` is `on`
    checks
        `test_relay_is_there` (static and running): The relay is there.
        `test_relay_ends` (running, on a snapshot): It ends.
"""


def describe_relay(sources: Mapping[str, str] = SOURCES) -> DescribedComponent:
    reader = WrittenSources(sources)
    catalog = load_catalog([Path("c")], reader)
    assert catalog.diagnostics == ()
    return describe_component(catalog.components["relay"], reader)


def test_text_tells_every_declaration_and_check() -> None:
    assert catalog_text([describe_relay()]) == TEXT


def test_document_is_the_manifest_with_the_checks() -> None:
    (relay,) = json.loads(json.dumps(catalog_document([describe_relay()])))["components"]
    assert relay["name"] == "relay"
    assert relay["listens"][0]["port"] == {"option": "port"}
    assert relay["checks"] == [
        {
            "name": "test_relay_is_there",
            "promise": "The relay is there.",
            "tiers": ["static", "running"],
            "is_destructive": False,
        },
        {
            "name": "test_relay_ends",
            "promise": "It ends.",
            "tiers": ["running"],
            "is_destructive": True,
        },
    ]


def test_page_begins_with_the_readme_and_marks_nothing_up_by_chance() -> None:
    pages = catalog_pages([describe_relay()])
    assert set(pages) == {"relay.md", INDEX_FILE}
    lines = pages["relay.md"].splitlines()
    assert lines[2:6] == [
        "# relay",
        "",
        r"*A relay with \<marks\> and \*stars\*.* Kind: network.",
        "",
    ]
    assert lines[6] == "Answers a `threat`."
    assert r"- relay\_d sends tcp to ports 443 of any host, when `cover` is `on`" in lines
    assert "- `test_relay_ends` (running, on a snapshot): It ends." in lines
    assert pages[INDEX_FILE].splitlines()[-1] == (
        r"- [relay](relay.md): A relay with \<marks\> and \*stars\*"
    )


def test_component_without_check_file_and_readme_is_described() -> None:
    bare = {path: text for path, text in SOURCES.items() if path.endswith(".yaml")}
    described = describe_relay(bare)
    assert (described.checks, described.readme) == ((), "")
