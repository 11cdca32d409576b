# SPDX-License-Identifier: GPL-3.0-or-later
import os
from pathlib import Path

import pytest

from gnoppix_build.checks.visibility import NotVisible
from gnoppix_build.targets.tree import RUNNING_WORDS, TreeHost

UNITS = "usr/lib/systemd/system"
INSTALLABLE = "[Service]\n[Install]\nWantedBy=multi-user.target\n"
STATUS = """\
Package: kept
Status: hold ok installed
Version: 1:2.0-1

Package: gone
Status: deinstall ok config-files
Version: 1.0
"""


@pytest.fixture
def root(tmp_path: Path) -> Path:
    texts = {
        "etc/passwd": (
            f"owner:x:{os.getuid()}:0::/:/bin/sh\nfox:x:1234:55:Fox,,,:/home/fox:/bin/sh\n"
        ),
        "etc/group": f"owners:x:{os.getgid()}:\nden:x:55:\nzoo:x:56:fox\n",
        "etc/shadow": "fox:!:1::::::\n",
        "var/lib/dpkg/status": STATUS,
        f"{UNITS}/on.service": INSTALLABLE,
        f"{UNITS}/off.service": INSTALLABLE,
        f"{UNITS}/fixed.service": "[Service]\n",
        f"{UNITS}/hidden.service": INSTALLABLE,
        f"{UNITS}/each@.service": INSTALLABLE,
        "etc/a.d/.one.conf": "1",
        "etc/a.d/deep/two.conf": "2",
    }
    for path, text in texts.items():
        file = tmp_path / "root" / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)
    links = {
        "lib": "usr/lib",
        "etc/systemd/system/multi-user.target.wants/on.service": f"/{UNITS}/on.service",
        "etc/systemd/system/multi-user.target.wants/each@x.service": f"/{UNITS}/each@.service",
        "etc/systemd/system/hidden.service": "/dev/null",
        "etc/escape": "../../../../outside",
        "etc/absolute": "/etc/passwd",
        "etc/loop": "loop",
        "etc/resolv.conf": "/run/resolv.conf",
    }
    for path, goal in links.items():
        link = tmp_path / "root" / path
        link.parent.mkdir(parents=True, exist_ok=True)
        link.symlink_to(goal)
    (tmp_path / "outside").write_text("of the build host")
    return tmp_path / "root"


@pytest.fixture
def host(root: Path) -> TreeHost:
    return TreeHost(root)


def test_file_answers_in_testinfra_words(host: TreeHost) -> None:
    file = host.file("/etc/absolute")
    assert (file.exists, file.is_file, file.is_directory, file.is_symlink) == (
        (True, True, False, True)
    )
    assert file.linked_to == "/etc/passwd"
    assert file.size == len(file.content) == len(file.content_string)
    assert file.sha256sum == host.file("/etc/passwd").sha256sum
    assert host.file("/lib/systemd").is_directory
    assert (file.mode, file.user, file.group) == (0o644, "owner", "owners")


def test_link_never_leads_out_of_the_tree(host: TreeHost, root: Path) -> None:
    assert (root / "../outside").exists()
    assert host.file("/etc/escape").linked_to == "/outside"
    assert not host.file("/etc/escape").exists
    with pytest.raises(FileNotFoundError):
        _ = host.file("/etc/escape").content
    with pytest.raises(OSError, match="symbolic links"):
        _ = host.file("/etc/loop").exists


def test_missing_file_has_no_mode(host: TreeHost) -> None:
    assert not host.file("/etc/passwd/below").exists
    with pytest.raises(FileNotFoundError):
        _ = host.file("/etc/none").mode


def test_file_of_a_running_system_is_not_visible(host: TreeHost) -> None:
    with pytest.raises(NotVisible, match="/proc/cmdline"):
        _ = host.file("/proc/cmdline").exists
    with pytest.raises(NotVisible):
        _ = host.file("/etc/resolv.conf").exists
    assert host.file("/etc/resolv.conf").linked_to == "/run/resolv.conf"
    assert host.file("/etc/resolv.conf").is_symlink


def test_package_is_installed_only_when_dpkg_says_so(host: TreeHost) -> None:
    assert host.package("kept").is_installed
    assert host.package("kept").version == "1:2.0-1"
    assert not host.package("gone").is_installed
    with pytest.raises(LookupError):
        _ = host.package("none").version


@pytest.mark.parametrize(
    ("name", "state"),
    [
        ("on", "enabled"),
        ("off", "disabled"),
        ("fixed", "enabled"),
        ("hidden.service", "masked"),
        ("each@x", "enabled"),
        ("each@y", "disabled"),
    ],
)
def test_service_state_is_read_from_links(host: TreeHost, name: str, state: str) -> None:
    service = host.service(name)
    assert (service.is_enabled, service.is_masked) == (state == "enabled", state == "masked")


def test_unknown_service_is_neither_enabled_nor_disabled(host: TreeHost) -> None:
    assert not host.service("none").exists
    with pytest.raises(LookupError):
        _ = host.service("none").is_enabled


def test_user_is_read_from_the_tree(host: TreeHost) -> None:
    fox = host.user("fox")
    assert (fox.exists, fox.uid, fox.home, fox.shell) == (True, 1234, "/home/fox", "/bin/sh")
    assert (fox.group, fox.groups, fox.password) == ("den", ["den", "zoo"], "!")
    assert not host.user("nobody").exists
    assert host.group("zoo").members == ["fox"]


def test_find_files_matches_folders_at_any_depth(host: TreeHost) -> None:
    assert host.find_files("/etc/**/*.conf") == [
        "/etc/a.d/.one.conf",
        "/etc/a.d/deep/two.conf",
        "/etc/resolv.conf",
    ]
    assert host.find_files("/lib/systemd/*/o?.service") == ["/lib/systemd/system/on.service"]
    assert host.find_files("/etc/passwd") == ["/etc/passwd"]
    assert host.find_files("/none/*") == []


def test_running_service_is_not_visible_in_a_tree(host: TreeHost) -> None:
    with pytest.raises(NotVisible, match="no running units"):
        _ = host.service("on").is_running


@pytest.mark.parametrize("word", sorted(RUNNING_WORDS))
def test_words_of_a_running_system_are_not_visible_in_a_tree(host: TreeHost, word: str) -> None:
    with pytest.raises(NotVisible):
        getattr(host, word)


def test_mistyped_word_is_an_error_and_no_skip(host: TreeHost) -> None:
    with pytest.raises(AttributeError):
        host.soket("tcp://1")
