# SPDX-License-Identifier: GPL-3.0-or-later
"""The check of what a network says: it sees each lie, and needs no file that there may not be."""

from dataclasses import dataclass, field

import pytest

from gnoppix_build.catalog.load import COMPONENTS_FOLDER
from gnoppix_build.checks.context import CheckContext, DhcpMessage
from gnoppix_build.checks.run import run_checks
from gnoppix_build.policy.model import Policy

FILE = COMPONENTS_FOLDER / "network-identity" / "check_network_identity.py"
CHECK = "test_lies_of_the_network_change_nothing"
RESOLVERS = "/etc/resolv.conf"
HOSTNAME = "cat /proc/sys/kernel/hostname"


class Lan:
    """A network with one lie; nobody has sent anything on it."""

    def sent(self) -> list[bytes]:
        return []

    def dhcp_messages(self) -> list[DhcpMessage]:
        return []

    def lies(self) -> frozenset[str]:
        return frozenset({"192.0.2.66"})

    def hardware_address(self) -> bytes:
        return bytes(6)


@dataclass(frozen=True)
class File:
    text: str | None

    @property
    def exists(self) -> bool:
        return self.text is not None

    @property
    def content_string(self) -> str:
        assert self.text is not None, "the file does not exist"
        return self.text


@dataclass(frozen=True)
class Host:
    """A system of files, and of answers to some commands."""

    files: dict[str, str] = field(default_factory=dict)
    answers: dict[str, str] = field(default_factory=dict)

    def file(self, path: str) -> File:
        return File(self.files.get(path))

    def check_output(self, command: str) -> str:
        assert RESOLVERS not in command or RESOLVERS in self.files, "cat: no such file"
        return self.answers.get(command, "")


def outcome(host: Host) -> str:
    context = CheckContext(host, policy=Policy("test"), lan=Lan())
    findings = run_checks({"network-identity": FILE}, "traffic", context)
    return next(each.outcome for each in findings if each.check == CHECK)


@pytest.mark.parametrize(
    ("host", "expected"),
    [
        pytest.param(Host(), "pass", id="no-file"),
        pytest.param(Host({RESOLVERS: "nameserver 127.0.0.1\n"}), "pass", id="own-resolver"),
        pytest.param(Host({RESOLVERS: "nameserver 192.0.2.66\n"}), "fail", id="lie-in-a-file"),
        pytest.param(Host({}, {HOSTNAME: "192.0.2.66\n"}), "fail", id="lie-in-the-name"),
        pytest.param(
            Host({}, {"ip route show table all": "default via 192.0.2.66\n"}), "fail", id="route"
        ),
    ],
)
def test_lie_is_told_by_the_check(host: Host, expected: str) -> None:
    assert outcome(host) == expected
