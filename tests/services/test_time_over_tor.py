# SPDX-License-Identifier: GPL-3.0-or-later
"""What `time` asks for through Tor arrives there by an exit, and nothing of it is seen before."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from lab_root import PACKAGES, make_lab_root
from net_namespace import Namespace, check_output
from test_tor_network import bootstrapped_client, destinations
from tor_network import TorNetwork

from gnoppix_build.catalog.load import COMPONENTS_FOLDER

pytestmark = pytest.mark.root

RENDERED = COMPONENTS_FOLDER / "time/cases/default/expected"
UNPRIVILEGED = ("setpriv", "--reuid=114", "--regid=114", "--clear-groups", "--")
TLS_AND_DNS = {"53", "80", "123", "443"}


@pytest.fixture
def client(tmp_path: Path) -> Iterator[Namespace]:
    root = make_lab_root((*PACKAGES, "ca-certificates", "htpdate", "python3", "torsocks"))
    with Namespace(root, tmp_path) as namespace:
        namespace.set("ipv6/conf/all/disable_ipv6", "1")
        yield namespace


def test_dates_come_through_tor_only(
    client: Namespace, tor_network: TorNetwork, tmp_path: Path
) -> None:
    for path in ("usr/lib/gnoppix/set-clock", "etc/gnoppix/time-torsocks.conf"):
        (tmp_path / Path(path).name).write_bytes((RENDERED / path).read_bytes())
    tmp_path.chmod(0o755)
    asking = (
        *("env", "TORSOCKS_CONF_FILE=/mnt/time-torsocks.conf", *UNPRIVILEGED),
        *("python3", "/mnt/set-clock", *(3 * (tor_network.web_url,))),
    )
    lines = "\n".join((*tor_network.authorities, ""))
    asked_before = len(tor_network.web_log)
    with (
        tor_network.attach(client) as cable,
        cable.recorded() as frames,
        bootstrapped_client(client, tmp_path, lines),
    ):
        said = check_output(client.command_in_root(*asking)).decode()
    assert said == "set-clock: the clock is right\n"
    asked = [entry for entry in tor_network.web_log[asked_before:] if entry[0] == "head"]
    assert {path for _, _, path in asked} == {"/"}
    assert len(asked) >= 3, "each of three questions gets there"
    ports = {each.rpartition(" ")[2] for each in destinations(frames)}
    assert ports & TLS_AND_DNS == set()
