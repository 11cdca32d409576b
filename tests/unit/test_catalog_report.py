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
targets: [image]
requires: [base]
provides: [relaying]
conflicts: [other-relay]
packages: [relay]
units: {enable: [relay.service]}
sysctl: {net.ipv4.ip_forward: "0"}
optional:
  - packages: [relay-obfuscation]
    needs: [{name: user-namespaces, because: its helper makes one}]
    when: {cover: ["on"]}
groups:
  - {name: relay-control, gid: 870, when: {cover: ["on"]}}
users:
  - {name: _relay, uid: 120, groups: [relay-control]}
listens:
  - {protocol: tcp, address: 127.0.0.1, port: {option: port}, user: _relay, open-to: [_reader]}
  - {protocol: udp, address: 10.0.0.1, port: 53, user: _relay, open-to: [], namespace: carrier}
sockets:
  - {path: /run/relay/control, user: _relay, open-to: [relay-control]}
redirects:
  - {traffic: tcp, port: {option: port}}
consents:
  - {command: [relay, agree], group: relay-control, opens: listeners, when: {cover: ["on"]}}
  - {command: [agree], group: relay-control, opens: cards}
egress:
  - {user: _relay, protocol: tcp, ports: [443, {option: port}], when: {cover: ["on"]}}
  - {user: _relay, protocol: udp, addresses: [{option: server}], namespace: carrier}
  - {user: _reader, through: relay}
  - {user: _clock, reach: none}
  - {user: _log, reach: loopback}
  - {user: _relay, link: dhcp4}
services:
  - unit: relay.service
    user: _relay
    drops-privileges: on
    capabilities: [CAP_SETUID]
    writes: [/var/lib/relay]
    sees-sockets: [/run/dbus/system_bus_socket]
    relaxes:
      MemoryDenyWriteExecute: {to: "no", because: its filters are compiled at run time}
    exposure: 2.1
    because: the bus is needed
refuses:
  - {when: {cover: ["on"]}, because: it is slow, hint: "set `cover: off`"}
options:
  port: {type: port, default: 8080, doc: Where `_reader` asks., example: 8081}
  cover: {type: switch, default: off, doc: Hide what it is., example: on}
  server: {type: address, doc: The other end., example: 192.0.2.1}
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
    "c/features.yaml": "features:\n  user-namespaces: {summary: anybody can make one}\n",
    "c/relay/component.yaml": MANIFEST,
    "c/relay/check_relay.py": CHECKS,
    "c/relay/README.md": "# relay\n\nAnswers a `threat`.\n",
}
TEXT = """\
relay (network): A relay with <marks> and *stars*
    relations
        requires base
        provides relaying
        excludes other-relay
        only for a target of type image
        refused, when `cover` is `on`: it is slow; set `cover: off`
    options
        `port`: port, default `8080`. Where `_reader` asks.
        `cover`: switch, default `off`. Hide what it is.
        `server`: address, to be given. The other end.
    listens
        tcp 127.0.0.1 port `8080` (`port`), user _relay, open to _reader
        udp 10.0.0.1 port 53, user _relay, by redirect only, in the namespace carrier
    sockets
        /run/relay/control, user _relay, open to relay-control
    redirects
        tcp to port `8080` (`port`)
    consent
        its sockets are closed until somebody in the group relay-control runs `relay agree`, when
          `cover` is `on`
        every network card is closed until somebody in the group relay-control runs `agree`
    egress
        _relay sends tcp to any address, ports 443, `8080` (`port`), when `cover` is `on`
        _relay sends udp to `server`, any port, in the namespace carrier
        _reader reaches the network through relay only
        _clock sends nothing, not even on this machine
        _log sends nothing beyond this machine
        _relay sends dhcp4 on the link
    exposure
        relay.service: at most 2.1: the bus is needed
    sandbox
        relay.service: user _relay, which it becomes by itself
        relay.service may keep CAP_SETUID
        relay.service writes /var/lib/relay
        relay.service reaches the sockets /run/dbus/system_bus_socket
        relay.service has MemoryDenyWriteExecute=no: its filters are compiled at run time
    system
        group: relay-control (870), when `cover` is `on`
        user: _relay (120), in relay-control
        packages: relay
        units enabled: relay.service
        sysctl: net.ipv4.ip_forward=0
        packages: relay-obfuscation, when `cover` is `on`
        needs: user-namespaces (its helper makes one), when `cover` is `on`
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
    assert r"- \_log sends nothing beyond this machine" in lines
    assert "- `test_relay_ends` (running, on a snapshot): It ends." in lines
    assert pages[INDEX_FILE].splitlines()[-1] == (
        r"- [relay](relay.md): A relay with \<marks\> and \*stars\*"
    )


def test_component_without_check_file_and_readme_is_described() -> None:
    bare = {path: text for path, text in SOURCES.items() if path.endswith(".yaml")}
    described = describe_relay(bare)
    assert (described.checks, described.readme) == ((), "")
