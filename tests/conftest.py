# SPDX-License-Identifier: GPL-3.0-or-later
"""What tests of several folders share: each is made once in a run, when a test first asks."""

import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from bench import (
    EVERYTHING,
    PROJECT,
    TIMES,
    WANTED_PROFILES,
    Bench,
    Built,
    Verified,
    wants_all_profiles,
)
from confined_machines import Lan, Seen, run_network_manager, run_openvpn
from lab_root import PACKAGES, make_lab_root
from tor_network import TorNetwork
from vpn_far_end import FarEnd
from vpn_line import VPN_PACKAGES
from xdist.scheduler import LoadScopeScheduling

IMAGE_TESTS = "tests/image/"
SHIPPED = tuple(sorted(path.stem for path in (PROJECT / "profiles").glob("*.yaml")))
TEST_PROFILES = PROJECT / "tests" / "profiles"
CHANGE = ("isolated-ports: [9061, 9062]", "isolated-ports: [9061, 9063]")


def pytest_report_header() -> str:
    return f"images: everything, {', '.join(choose_profiles())} (of {', '.join(SHIPPED)})"


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    if "shipped_profile" in metafunc.fixturenames:
        metafunc.parametrize("shipped_profile", choose_profiles())


def choose_profiles() -> tuple[str, ...]:
    """Give the profiles named in the environment (`all` for each), or the one whose turn it is."""
    if wants_all_profiles():
        return SHIPPED
    wanted = os.environ.get(WANTED_PROFILES, "").split()
    return tuple(wanted) or (SHIPPED[count_commits() % len(SHIPPED)],)


def count_commits() -> int:
    """Count the commits, so that each takes the next profile in turn."""
    done = subprocess.run(
        ("git", "rev-list", "--count", "HEAD"),
        cwd=PROJECT,
        check=True,
        capture_output=True,
        text=True,
    )
    return int(done.stdout)


class ImagesBesideAllElse(LoadScopeScheduling):  # type: ignore[misc] # it has no types
    """Deals tests out to two processes: what builds and boots images, and all else.

    That is as much as two cores bear, and each makes what its tests share once.
    """

    def _split_scope(self, nodeid: str) -> str:
        return "images" if nodeid.startswith(IMAGE_TESTS) else "all else"


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> LoadScopeScheduling | None:
    """Take the place of pytest-xdist's own scopes."""
    return ImagesBesideAllElse(config, log) if config.getvalue("dist") == "loadscope" else None


def pytest_sessionfinish(session: pytest.Session) -> None:
    """Hand what the slow parts took to the process that writes the summary."""
    output = getattr(session.config, "workeroutput", None)
    if output is not None:
        output["times"] = TIMES


@pytest.hookimpl(optionalhook=True)
def pytest_testnodedown(node: Any) -> None:
    """Take what the slow parts of another process took."""
    TIMES.extend(getattr(node, "workeroutput", {}).get("times", []))


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    if TIMES:
        terminalreporter.section("budgets of slow parts")
        for line in TIMES:
            terminalreporter.write_line(line)


@pytest.fixture(scope="session")
def bench(tmp_path_factory: pytest.TempPathFactory) -> Bench:
    """Give the place whose store all builds share but the one that is to be compared."""
    return Bench(tmp_path_factory.mktemp("bench"))


@pytest.fixture(scope="session")
def cold_build(bench: Bench) -> Built:
    """Build the image of all services from an empty cache."""
    return bench.build(EVERYTHING, bench.folder / "out", cold=True)


@pytest.fixture(scope="session")
def changed_build(cold_build: Built) -> Built:
    """Build it again with one option changed and the packages of before."""
    folder = cold_build.bench.folder / "changed"
    folder.mkdir()
    profile = folder / EVERYTHING.name
    text = EVERYTHING.read_text()
    changed = text.replace(*CHANGE)
    assert changed != text
    profile.write_text(changed)
    lock = f"{cold_build.name}.lock"
    shutil.copyfile(cold_build.result / lock, folder / lock)
    return cold_build.bench.build(profile, folder / "out")


@pytest.fixture(scope="session")
def verified(changed_build: Built) -> Verified:
    """Check and boot the changed image: one boot shows both the services and the change."""
    return changed_build.verify()


@pytest.fixture(scope="session")
def lab_root() -> Path:
    """Give a Debian tree with tor, systemd and nftables, for reading only."""
    return make_lab_root()


@pytest.fixture(scope="session")
def tor_network(lab_root: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[TorNetwork]:
    """Give a private Tor network that a client would find everything in."""
    with TorNetwork(lab_root, tmp_path_factory.mktemp("tor-network")) as network:
        yield network


@pytest.fixture(scope="session")
def lan(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lan]:
    """Give the far end of a cable, with time servers, for one virtual machine after the other."""
    work = tmp_path_factory.mktemp("far-end")
    root = make_lab_root((*PACKAGES, *VPN_PACKAGES, "chrony"))
    with FarEnd(root, work) as far:
        yield Lan(far, work)


@pytest.fixture(scope="session")
def network_managed(bench: Bench, lan: Lan, tmp_path_factory: pytest.TempPathFactory) -> Seen:
    """Give what a boot with NetworkManager showed; the machine is gone."""
    image = bench.build(TEST_PROFILES / "managed-by-nm.yaml", bench.folder / "managed-by-nm")
    return run_network_manager(image, lan, tmp_path_factory.mktemp("network-manager"))


@pytest.fixture(scope="session")
def tunnelled(bench: Bench, lan: Lan, tmp_path_factory: pytest.TempPathFactory) -> Seen:
    """Give what a boot with OpenVPN showed; the machine is gone."""
    image = bench.build(TEST_PROFILES / "openvpn.yaml", bench.folder / "openvpn")
    return run_openvpn(image, lan, tmp_path_factory.mktemp("openvpn"))
