# SPDX-License-Identifier: GPL-3.0-or-later
"""The command that says what is protected: every kind of fault is found, and nothing else."""

import json
import os
import re
import socket
import subprocess
import sys
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from importlib.machinery import SourceFileLoader
from importlib.util import module_from_spec, spec_from_loader
from pathlib import Path
from typing import Any

import pytest

PROJECT = Path(__file__).parents[2]
COMPONENT = PROJECT / "gnoppix_build/components/privacy-status"
PROGRAM = COMPONENT / "files/usr/bin/privacy-status"
RELAY_UID = 900
DHCP_UID = 998
LISTENER = {"protocol": "tcp", "address": "127.0.0.1", "port": 9050, "user": "relay"}
RELAY = {
    "name": "relay",
    "summary": "Carries what others send",
    "enabled": ["relay.service", "relay.target"],
    "off": ["relay-console.socket"],
    "sandboxed": ["relay.service"],
    "sysctl": {"net.ipv4.ip_forward": "0", "net/ipv4/conf/*/rp_filter": "2"},
    "blocked_modules": ["firewire-core"],
    "kernel_arguments": ["init_on_free=1"],
    "listeners": [LISTENER],
    "awaits_consent": False,
    "sockets": [],
}
EXPECTED = {
    "format_version": 1,
    "profile": "test",
    "card_namespace": "system",
    "ruleset": {
        "output": {"policy": "drop", "rules": 1},
        "refuse": {"policy": None, "rules": 0},
    },
    "egress_chain": {"egress": {"policy": "drop", "rules": 1}},
    "udp_senders": ["dhcp"],
    "components": [RELAY],
}
UP = {
    "LoadState": "loaded",
    "ActiveState": "active",
    "Result": "success",
    "Type": "notify",
    "ExecMainStartTimestampMonotonic": "5",
    "DropInPaths": "/etc/systemd/system/relay.service.d/60-gnoppix-sandbox.conf",
    "NeedDaemonReload": "no",
}
REACHED = {"LoadState": "loaded", "ActiveState": "active", "NeedDaemonReload": "no"}
OFF = {**UP, "LoadState": "masked", "ActiveState": "inactive", "DropInPaths": ""}
SOCKETS = (
    "tcp LISTEN 0 4096 127.0.0.1:9050 0.0.0.0:* uid:900 ino:1 sk:1 <->",
    "udp UNCONN 0 0 10.0.2.15%ens3:68 0.0.0.0:* uid:998 ino:2 sk:2 <->",
)
SETTINGS = {
    "/proc/sys/net/ipv4/ip_forward": "0\n",
    "/proc/sys/net/ipv4/conf/ens3.1/rp_filter": "2\n",
}


def load_program() -> Any:
    loader = SourceFileLoader("privacy_status", str(PROGRAM))
    specification = spec_from_loader(loader.name, loader)
    assert specification is not None
    module = module_from_spec(specification)
    sys.modules[loader.name] = module
    loader.exec_module(module)
    return module


program = load_program()


def chain(family: str, table: str, name: str, policy: str | None, rules: int) -> list[Any]:
    place = {"family": family, "table": table}
    head = {**place, "name": name, **({"policy": policy} if policy else {})}
    return [{"chain": head}, *({"rule": {**place, "chain": name}} for _ in range(rules))]


RULES = (
    *chain("inet", "gnoppix", "output", "drop", 1),
    *chain("inet", "gnoppix", "refuse", None, 0),
    *chain("netdev", "gnoppix-ens3", "egress", "drop", 1),
    # Those of a container engine are its own affair.
    *chain("ip", "nat", "output", "accept", 2),
)


TABLE = """\
table inet gnoppix {
\tchain output {
\t\ttype filter hook output priority 0; policy drop;
\t\tmeta skuid 900 accept
\t}
}
"""
CHAIN = """\
table netdev gnoppix-ens3 {
\tchain egress {
\t\ttype filter hook egress device "ens3" priority 0; policy drop;
\t\tmeta skuid 900 accept
\t}
}
"""
RECORDS = {
    "/run/gnoppix-firewall/table.nft": TABLE,
    "/run/gnoppix-egress-ens3/table.nft": CHAIN,
}
BENEATH = {
    "/run/gnoppix-carrier/table.nft": TABLE,
    "/run/gnoppix-egress-ens3/table.nft": CHAIN,
    "/run/gnoppix-firewall/table.nft": TABLE,
    "/run/gnoppix/carrier-rules.nft": TABLE + CHAIN,
}
OPENED = "\t\taccept"


def opened(text: str) -> str:
    """Put a rule that lets everything out into the place of the user's."""
    return text.replace("\t\tmeta skuid 900 accept", OPENED)


@dataclass(frozen=True)
class Machine:
    """A system as its programs and its kernel describe it; None: the program fails."""

    units: Mapping[str, Mapping[str, str]] = field(
        default_factory=lambda: {
            "relay.service": UP,
            "relay.target": REACHED,
            "relay-console.socket": OFF,
        }
    )
    sockets: Sequence[str] | None = SOCKETS
    rules: Sequence[Any] | None = RULES
    listing: str | None = TABLE + CHAIN
    records: Mapping[str, str] = field(default_factory=lambda: RECORDS)
    settings: Mapping[str, str] = field(default_factory=lambda: SETTINGS)
    modules: str = "nf_tables 1 0 - Live 0x0\n"
    arguments: str = "quiet init_on_free=1\n"
    menu: str | None = None
    cards: Sequence[str] = ("ens3",)

    def run(self, command: Sequence[str]) -> str | None:
        match command[0]:
            case "systemctl":
                blocks = (self.units.get(name, {}) for name in command[4:])
                lines = ("\n".join(f"{k}={v}" for k, v in block.items()) for block in blocks)
                return "\n\n".join(lines) + "\n"
            case "ss":
                return None if self.sockets is None else "\n".join(self.sockets)
            case "nft" if "-j" not in command:
                return self.listing
            case "nft":
                return None if self.rules is None else json.dumps({"nftables": self.rules})
            case other:
                raise AssertionError(other)


def faults(machine: Machine, folder: Path, **expected: Any) -> list[tuple[str, str, str]]:
    """Let the program judge the machine; component, subject and reason of each fault."""
    files = {
        **machine.settings,
        **machine.records,
        "/proc/modules": machine.modules,
        "/proc/cmdline": machine.arguments,
        **({"/boot/grub/grub.cfg": machine.menu} if machine.menu else {}),
    }
    for path, text in files.items():
        target = folder / path.lstrip("/")
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(text)
    net = folder / "sys/class/net"
    net.mkdir(parents=True)
    for name, place in {
        "lo": "virtual/net",
        **dict.fromkeys(machine.cards, "pci0/net"),
    }.items():
        device = folder / "sys/devices" / place / name
        device.mkdir(parents=True)
        (net / name).symlink_to(device)
    users = {"relay": RELAY_UID, "dhcp": DHCP_UID}
    system = program.System(run=machine.run, root=folder, uid_of=users.__getitem__)
    report = program.observe({**EXPECTED, **expected}, system)
    assert report["protected"] == all(each["protected"] for each in report["components"])
    return [
        (each["name"], fault["subject"], fault["reason"])
        for each in report["components"]
        for fault in each["faults"]
    ]


def test_nothing_is_at_fault_on_a_system_as_declared(tmp_path: Path) -> None:
    assert faults(Machine(), tmp_path) == []


def with_unit(name: str, **state: str) -> Machine:
    units = Machine().units
    return Machine(units={**units, name: {**units[name], **state}})


RELAY_UNIT = "relay.service"
CONSOLE = "relay-console.socket"
TARGET = "relay.target"
NETWORK = "network policy"


@pytest.mark.parametrize(
    ("machine", "expected"),
    [
        pytest.param(
            with_unit(RELAY_UNIT, ActiveState="failed", Result="exit-code"),
            ("relay", RELAY_UNIT, "it is failed (loaded, exit-code)"),
            id="failed-unit",
        ),
        pytest.param(
            with_unit(RELAY_UNIT, ActiveState="inactive"),
            ("relay", RELAY_UNIT, "it is inactive (loaded, success)"),
            id="stopped-unit",
        ),
        pytest.param(
            with_unit(
                RELAY_UNIT,
                ActiveState="inactive",
                Type="oneshot",
                ExecMainStartTimestampMonotonic="0",
            ),
            ("relay", RELAY_UNIT, "it is inactive (loaded, success)"),
            id="oneshot-never-run",
        ),
        pytest.param(
            with_unit(RELAY_UNIT, ActiveState="inactive", Type="oneshot", RemainAfterExit="yes"),
            ("relay", RELAY_UNIT, "it is inactive (loaded, success)"),
            id="oneshot-that-stays-was-stopped",
        ),
        pytest.param(
            with_unit(TARGET, ActiveState="inactive"),
            ("relay", TARGET, "it is inactive (loaded)"),
            id="target-not-reached",
        ),
        pytest.param(
            with_unit(RELAY_UNIT, DropInPaths="/etc/systemd/system/relay.service.d/50.conf"),
            ("relay", RELAY_UNIT, "it runs without its sandbox"),
            id="no-sandbox",
        ),
        pytest.param(
            with_unit(RELAY_UNIT, NeedDaemonReload="yes"),
            ("relay", RELAY_UNIT, "its files were changed after it was loaded"),
            id="changed-unit",
        ),
        pytest.param(
            with_unit(CONSOLE, LoadState="loaded", ActiveState="active"),
            ("relay", CONSOLE, "it is active and should be off"),
            id="unit-that-is-off",
        ),
        pytest.param(
            Machine(settings={**SETTINGS, "/proc/sys/net/ipv4/ip_forward": "1\n"}),
            ("relay", "net.ipv4.ip_forward", "it is `1`, not `0`"),
            id="setting",
        ),
        pytest.param(
            Machine(settings={**SETTINGS, "/proc/sys/net/ipv4/conf/all/rp_filter": "0\n"}),
            ("relay", "net/ipv4/conf/*/rp_filter", "it is `0`, not `2`"),
            id="setting-by-pattern",
        ),
        pytest.param(
            Machine(settings={"/proc/sys/net/ipv4/conf/ens3.1/rp_filter": "2\n"}),
            ("relay", "net.ipv4.ip_forward", "the kernel has no such setting"),
            id="absent-setting",
        ),
        pytest.param(
            Machine(modules="firewire_core 90112 0 - Live 0x0\n"),
            ("relay", "firewire-core", "the module is loaded"),
            id="module",
        ),
        pytest.param(
            Machine(arguments="quiet init_on_free=10\n"),
            ("relay", "init_on_free=1", "the kernel was started without it"),
            id="argument",
        ),
        pytest.param(
            Machine(
                arguments="quiet\n", menu="\n\tlinux\t/vmlinuz root=/dev/vda1 init_on_free=1\n"
            ),
            (
                *("relay", "init_on_free=1"),
                "the kernel was started without it, and gets it at the next start",
            ),
            id="argument-of-the-next-start",
        ),
        pytest.param(
            Machine(arguments="quiet\n", menu="linux /vmlinuz\nlinux /old init_on_free=1\n"),
            ("relay", "init_on_free=1", "the kernel was started without it"),
            id="argument-of-another-kernel",
        ),
        pytest.param(
            Machine(sockets=SOCKETS[1:]),
            ("relay", "tcp 127.0.0.1:9050", "nothing listens there"),
            id="no-listener",
        ),
        pytest.param(
            Machine(sockets=(SOCKETS[0].replace("uid:900", "uid:1000"), SOCKETS[1])),
            ("relay", "tcp 127.0.0.1:9050", "it belongs to the user 1000, not to `relay`"),
            id="foreign-listener",
        ),
        pytest.param(
            Machine(sockets=(SOCKETS[0].replace("uid:900 ", ""), SOCKETS[1])),
            ("relay", "tcp 127.0.0.1:9050", "it belongs to the user 0, not to `relay`"),
            id="listener-of-root",
        ),
        pytest.param(
            Machine(sockets=(*SOCKETS, "tcp LISTEN 0 5 [::]:22 [::]:* ino:3 sk:3 v6only:1 <->")),
            (NETWORK, "tcp :::22", "no component declares it; the user 0 has it"),
            id="undeclared-listener",
        ),
        pytest.param(
            Machine(sockets=(*SOCKETS, "udp UNCONN 0 0 0.0.0.0:5353 0.0.0.0:* uid:1000 ino:3")),
            (NETWORK, "udp 0.0.0.0:5353", "no component declares it; the user 1000 has it"),
            id="undeclared-datagrams",
        ),
        pytest.param(
            Machine(rules=(*RULES[:2], *RULES[1:])),
            (
                NETWORK,
                "table inet gnoppix, chain output",
                "it has 2 rules and policy drop, and not 1 rules and policy drop",
            ),
            id="rule-added",
        ),
        pytest.param(
            Machine(rules=RULES[3:]),
            (NETWORK, "table inet gnoppix", "it is not loaded"),
            id="no-rules",
        ),
        pytest.param(
            Machine(rules=RULES[:3]),
            (NETWORK, "table netdev gnoppix-ens3", "it is not loaded"),
            id="no-egress-chain",
        ),
        pytest.param(
            Machine(listing=opened(TABLE) + CHAIN),
            (NETWORK, "table inet gnoppix", "it is not as it was loaded"),
            id="other-rule",
        ),
        pytest.param(
            Machine(listing=TABLE + opened(CHAIN)),
            (NETWORK, "table netdev gnoppix-ens3", "it is not as it was loaded"),
            id="other-rule-of-the-card",
        ),
        pytest.param(
            Machine(records={"/run/gnoppix-egress-ens3/table.nft": CHAIN}),
            (
                NETWORK,
                "table inet gnoppix",
                "how it was loaded cannot be seen: No such file or directory",
            ),
            id="no-record",
        ),
        pytest.param(
            Machine(cards=("ens3", "usb0")),
            (NETWORK, "table netdev gnoppix-usb0", "it is not loaded"),
            id="second-card",
        ),
    ],
)
def test_fault_is_found(machine: Machine, expected: tuple[str, str, str], tmp_path: Path) -> None:
    assert faults(machine, tmp_path) == [expected]


def test_what_cannot_be_seen_is_a_fault(tmp_path: Path) -> None:
    blind = Machine(units={}, sockets=None, rules=None, cards=())
    assert faults(blind, tmp_path) == [
        ("relay", RELAY_UNIT, "systemd does not tell its state"),
        ("relay", TARGET, "systemd does not tell its state"),
        ("relay", CONSOLE, "systemd does not tell its state"),
        ("relay", "sockets", "they cannot be seen"),
        (NETWORK, "rules", "they cannot be seen"),
        (NETWORK, "sockets", "they cannot be seen"),
    ]


@pytest.mark.parametrize(
    ("sockets", "expected"),
    [
        (SOCKETS[1:], []),
        (SOCKETS, [("relay", "tcp 127.0.0.1:9040", "nothing listens there")]),
        ((*SOCKETS, SOCKETS[0].replace("9050", "9040")), []),
    ],
    ids=["before-consent", "half-open", "after-consent"],
)
def test_sockets_that_await_consent_are_closed_or_all_there(
    sockets: Sequence[str], expected: list[tuple[str, str, str]], tmp_path: Path
) -> None:
    listeners = [{**LISTENER, "port": port} for port in (9050, 9040)]
    waiting = {**RELAY, "awaits_consent": True, "listeners": listeners}
    assert faults(Machine(sockets=sockets), tmp_path, components=[waiting]) == expected


def test_card_beside_the_tunnel_is_a_fault(tmp_path: Path) -> None:
    assert faults(Machine(records=BENEATH), tmp_path, card_namespace="carrier") == [
        (NETWORK, "ens3", "it is not in the namespace `carrier`")
    ]


@pytest.mark.parametrize(
    ("changed", "expected"),
    [
        ({}, []),
        (
            {"/run/gnoppix/carrier-rules.nft": opened(TABLE) + CHAIN},
            [("table inet gnoppix beneath the tunnel", "it is not as it was loaded")],
        ),
        (
            {"/run/gnoppix/carrier-rules.nft": TABLE + opened(CHAIN)},
            [("table netdev gnoppix-ens3 beneath the tunnel", "it is not as it was loaded")],
        ),
        (
            {"/run/gnoppix/carrier-rules.nft": ""},
            [("table inet gnoppix beneath the tunnel", "it is not loaded")],
        ),
        (
            {"/run/gnoppix/carrier-rules.nft": None},
            [("rules beneath the tunnel", "they cannot be seen: No such file or directory")],
        ),
    ],
    ids=["as-loaded", "other-rule", "other-rule-of-the-card", "no-rules", "unseen"],
)
def test_rules_beneath_the_tunnel_are_those_that_were_loaded(
    changed: Mapping[str, str | None], expected: list[tuple[str, str]], tmp_path: Path
) -> None:
    known = {path: text for path, text in {**BENEATH, **changed}.items() if text is not None}
    found = faults(Machine(records=known, cards=()), tmp_path, card_namespace="carrier")
    assert found == [(NETWORK, *each) for each in expected]


def test_settings_of_ipv6_are_not_missed_without_ipv6(tmp_path: Path) -> None:
    component = {**RELAY, "sysctl": {"net.ipv6.conf.all.accept_ra": "0"}}
    assert faults(Machine(), tmp_path, components=[component]) == []


def serve_tor(folder: Path, phase: str, password: str = "") -> Path:
    """Answer one client as tor's control port does."""
    cookie = folder / "cookie"
    cookie.write_bytes(b"\x01\xff")
    path = folder / "control"
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(str(path))
    listener.listen()
    wanted = password or "01ff"
    answers = {
        "PROTOCOLINFO 1": f'250-AUTH METHODS=COOKIE COOKIEFILE="{cookie}"\r\n250 OK\r\n',
        f"AUTHENTICATE {wanted}": "250 OK\r\n",
        "GETINFO status/bootstrap-phase": f"250-status/bootstrap-phase={phase}\r\n250 OK\r\n",
    }

    def answer() -> None:
        connection, _ = listener.accept()
        with connection, connection.makefile("rw", newline="\r\n") as lines:
            for line in lines:
                lines.write(answers.get(line.strip(), "515 Bad authentication\r\n"))
                lines.flush()

    threading.Thread(target=answer, daemon=True).start()
    return path


def judge_tor(path: Path) -> list[tuple[str, str]]:
    system = program.System(
        run=lambda _: None, ask_tor=lambda: program.ask_tor_for_its_phase(str(path))
    )
    component = {**RELAY, "sockets": ["/run/tor/control"]}
    return [tuple(fault) for fault in program.judge_tor(component, system)]


def test_tor_that_is_connected_is_no_fault(tmp_path: Path) -> None:
    path = serve_tor(tmp_path, 'NOTICE BOOTSTRAP PROGRESS=100 TAG=done SUMMARY="Done"')
    assert judge_tor(path) == []


def test_tor_tells_how_far_it_is(tmp_path: Path) -> None:
    path = serve_tor(
        tmp_path, 'NOTICE BOOTSTRAP PROGRESS=5 TAG=conn SUMMARY="Connecting to a relay"'
    )
    assert judge_tor(path) == [("Tor", "it is not connected: 5 %, Connecting to a relay")]


def test_tor_that_refuses_is_a_fault(tmp_path: Path) -> None:
    path = serve_tor(tmp_path, "", password="another")
    assert judge_tor(path) == [
        ("/run/tor/control", "tor does not say how far it is: 515 Bad authentication")
    ]


def test_tor_that_is_not_there_is_a_fault(tmp_path: Path) -> None:
    ((subject, reason),) = judge_tor(tmp_path / "control")
    assert subject == "/run/tor/control"
    assert "No such file" in reason


@pytest.fixture
def shown(tmp_path: Path) -> Callable[..., tuple[int, str, str]]:
    """Give a function that shows a report of some age, as a person would see it."""

    def show(age_s: int, *words: str, component: Mapping[str, Any]) -> tuple[int, str, str]:
        report = {
            "format_version": 1,
            "profile": "test",
            "time": "2026-01-01T00:00:00Z",
            "seconds_since_boot": int(program.time.clock_gettime(program.time.CLOCK_BOOTTIME))
            - age_s,
            "protected": component["protected"],
            "components": [component],
        }
        path = tmp_path / "status.json"
        program.write(report, path)
        text = PROGRAM.read_text().replace('"/run/gnoppix/privacy-status.json"', f'"{path}"')
        done = subprocess.run(
            (sys.executable, "-c", text, *words), capture_output=True, text=True, check=False
        )
        # Starting it may take a second over the next one.
        return done.returncode, re.sub(r"seen \d+ s", "seen 3 s", done.stdout), done.stderr

    return show


GOOD = {"name": "relay", "summary": "Carries", "protected": True, "faults": []}
BAD = {**GOOD, "protected": False, "faults": [{"subject": "x.service", "reason": "it is failed"}]}


def test_report_of_a_protected_system_ends_with_0(shown: Any) -> None:
    assert shown(3, component=GOOD) == (
        0,
        "protected (profile test, seen 3 s ago)\n  protected      relay  Carries\n",
        "",
    )


def test_report_of_a_fault_ends_with_1(shown: Any) -> None:
    assert shown(3, component=BAD) == (
        1,
        (
            "NOT protected (profile test, seen 3 s ago)\n"
            "  NOT protected  relay  Carries\n"
            "      x.service: it is failed\n"
        ),
        "",
    )


def test_report_that_nobody_renews_ends_with_1(shown: Any) -> None:
    code, _, said = shown(400, component=GOOD)
    assert code == 1
    assert re.fullmatch("privacy-status: the report is 40[0-9] s old: nobody looks\n", said)


def test_report_as_json_is_the_whole_report(shown: Any) -> None:
    code, text, _ = shown(0, "--json", component=BAD)
    assert (code, json.loads(text)["components"]) == (1, [BAD])


def test_report_that_is_not_there_ends_with_1() -> None:
    text = PROGRAM.read_text().replace("/run/gnoppix/privacy-status.json", "/nonexistent/report")
    done = subprocess.run((sys.executable, "-c", text), capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert done.stderr.splitlines() == [
        "privacy-status: [Errno 2] No such file or directory: '/nonexistent/report'",
        "privacy-status: look at `systemctl status privacy-status.service`",
    ]


def test_report_is_readable_for_everybody(tmp_path: Path) -> None:
    before = os.umask(0o077)
    try:
        program.write({}, tmp_path / "status.json")
    finally:
        os.umask(before)
    assert (tmp_path / "status.json").stat().st_mode & 0o777 == 0o644
