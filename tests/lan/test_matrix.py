# SPDX-License-Identifier: GPL-3.0-or-later
"""The program that tries the matrix tells who gets through, and who does not."""

import json
import os
import shutil
import socket
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from net_namespace import Namespace

from gnoppix_build.checks import programs
from gnoppix_build.checks.programs import try_matrix
from gnoppix_build.cli import session
from gnoppix_build.policy.compile import compile_policy
from gnoppix_build.policy.model import Policy
from gnoppix_build.policy.ruleset import format_ruleset

pytestmark = pytest.mark.root

DOORS = [["tcp", "127.0.0.1", 22], ["udp", "127.0.0.1", 22], ["tcp", "127.0.0.1", 8080]]
LISTENERS = Path(__file__).with_name("listeners.py")
# nft asks the names of users of the files around it.
WITH_PASSWD = ("unshare", "--mount", "sh", "-ec", 'mount --bind /mnt/passwd /etc/passwd; exec "$@"')


@pytest.fixture(scope="module")
def policy() -> Policy:
    return compile_policy(session.require_profile("minimal", ()))


@pytest.fixture(params=["listening", "closed"])
def closed(request: pytest.FixtureRequest, policy: Policy) -> list[list[object]]:
    """Give what nobody listens at yet: nothing, or all that the profile declares."""
    return with_users(policy) if request.param == "closed" else []


def with_users(policy: Policy) -> list[list[object]]:
    """Give the declared listeners, each with the number of its user."""
    users = {user.name: user.uid for user in policy.users}
    return [[each.protocol, each.address, each.port, users[each.user]] for each in policy.listeners]


@pytest.fixture
def system(
    policy: Policy, closed: list[list[object]], lab_root: Path, tmp_path: Path
) -> Iterator[Namespace]:
    """Give a namespace in which the users of the profile listen where they say, or nobody does."""
    users = {"root": 0, **{user.name: user.uid for user in policy.users}}
    lines = [f"{name}:x:{uid}:{uid}::/:/bin/false\n" for name, uid in users.items()]
    (tmp_path / "passwd").write_text("".join(lines))
    (tmp_path / "firewall.nft").write_text(format_ruleset(policy))
    for program in (LISTENERS, Path(programs.__file__).with_name("try_matrix.py")):
        shutil.copy(program, tmp_path)
    declared = [] if closed else with_users(policy)
    with Namespace(lab_root, tmp_path) as namespace:
        listening = ("python3", f"/mnt/{LISTENERS.name}", json.dumps(declared))
        namespace.start(namespace.command_in_root(*listening))
        time.sleep(1)
        yield namespace


def knock(
    system: Namespace, policy: Policy, closed: list[list[object]]
) -> dict[str, list[list[object]]]:
    users = {"root": 0, **{user.name: user.uid for user in policy.users}}
    declared = [[each.protocol, each.address, each.port] for each in policy.listeners]
    asked = json.dumps({"users": users, "declared": declared, "doors": DOORS, "closed": closed})
    answer = system.run_in_root("python3", "/mnt/try_matrix.py", asked)
    found: dict[str, list[list[object]]] = json.loads(answer)
    return found


def test_users_reach_what_the_ruleset_opens_to_them(
    system: Namespace, policy: Policy, closed: list[list[object]]
) -> None:
    system.run_in_root(*WITH_PASSWD, "sh", "nft", "-f", "/mnt/firewall.nft")
    expected: dict[str, list[list[object]]] = {}
    for cell in policy.matrix:
        place: list[object] = [cell.protocol, cell.address, cell.port]
        expected.setdefault(cell.user, []).extend([place] if cell.is_admitted else [])
    assert knock(system, policy, closed) == expected


def test_socket_in_the_file_system_is_open_to_its_group(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each user knocks with the groups that it has, at a socket of whatever kind."""
    groups = {"member": [1000, 860], "stranger": [1000]}
    monkeypatch.setattr(os, "getgrouplist", lambda name, _: groups[name])
    for folder in (tmp_path, *tmp_path.parents[:3]):
        folder.chmod(0o755)
    doors = {kind: socket.socket(socket.AF_UNIX, kind) for kind in try_matrix.UNIX_KINDS}
    for kind, door in doors.items():
        path = tmp_path / kind.name
        door.bind(str(path))
        if kind != socket.SOCK_DGRAM:
            door.listen()
        os.chown(path, 0, 860)
        path.chmod(0o660)
    targets = [("unix", str(tmp_path / kind.name), 0) for kind in doors]
    absent = ("unix", str(tmp_path / "absent"), 0)
    assert try_matrix.knock_as("member", 1000, [*targets, absent]) == targets
    assert try_matrix.knock_as("stranger", 1000, [*targets, absent]) == []


def test_all_users_reach_all_without_a_ruleset(
    system: Namespace, policy: Policy, closed: list[list[object]]
) -> None:
    declared = [[each.protocol, each.address, each.port] for each in policy.listeners]
    reached = knock(system, policy, closed)
    assert set(reached) == {"root", *(user.name for user in policy.users)}
    assert all(places == [*declared, *DOORS] for places in reached.values())
