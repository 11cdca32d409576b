# SPDX-License-Identifier: GPL-3.0-or-later
"""What `ai-leaks` promises of a system."""

import shlex
from typing import Any

import pytest

NAME = "gnoppix-ai-leaks"
LOCKS = f"/etc/dconf/db/local.d/locks/60-{NAME}"
GENERATOR = "/usr/lib/systemd/user-environment-generators/30-systemd-environment-d-generator"
PERSON = "setpriv --reuid=65534 --regid=65534 --clear-groups"


def leaks_of(profile: Any) -> list[Any]:
    """Give the leaks that this component speaks of."""
    component = next(each for each in profile.components if each.name == "ai-leaks")
    return [each for each in component.manifest.leaks if component.holds(each.when)]


def variables(profile: Any) -> set[str]:
    """Give the variables that end leaks, each with its value."""
    return {
        f"{key}={value}" for each in leaks_of(profile) for key, value in each.environment.items()
    }


def locked_keys(profile: Any) -> dict[str, str]:
    """Give the keys of dconf that end leaks, with their values."""
    found = {key: value for each in leaks_of(profile) for key, value in each.dconf.items()}
    if not found:
        pytest.skip("the profile has no programs with windows")
    return found


@pytest.mark.static
@pytest.mark.running
def test_nothing_without_a_switch_is_installed(host: Any, profile: Any) -> None:
    """No package is installed of a program that tells others what nothing ends."""
    names = {name for each in leaks_of(profile) if each.left for name in each.packages}
    assert names
    assert [name for name in sorted(names) if host.package(name).is_installed] == []


@pytest.mark.static
def test_locked_settings_are_compiled(host: Any, profile: Any) -> None:
    """What dconf keeps is in its database, and in force for everybody."""
    keys = locked_keys(profile)
    locks = host.file(LOCKS).content_string.splitlines()[1:]
    assert sorted(locks) == sorted(keys)
    assert "system-db:local" in host.file("/etc/dconf/profile/user").content_string.splitlines()
    compiled = host.file("/etc/dconf/db/local").content
    names = [key.rpartition("/")[2].encode() for key in keys]
    assert [name for name in names if name not in compiled] == []


@pytest.mark.running
def test_login_shells_carry_the_switches(host: Any, profile: Any) -> None:
    """A login shell has every variable that ends a leak."""
    login = host.check_output("env -i sh -lc env").splitlines()
    assert variables(profile) - {*login} == set()


@pytest.mark.running
def test_services_carry_the_switches(host: Any, profile: Any) -> None:
    """A service of the system, and the sessions of people, have every variable too."""
    service = host.check_output("systemd-run --quiet --pipe --wait --collect env").splitlines()
    assert variables(profile) - {*service} == set()
    # What the generator prints is quoted as for a shell.
    session = shlex.split(host.check_output(f"{PERSON} env -i {GENERATOR}"))
    assert variables(profile) - {*session} == set()


@pytest.mark.running
def test_locked_settings_are_in_force(host: Any, profile: Any) -> None:
    """Programs with windows read our values, and nobody can change them."""
    keys = locked_keys(profile)
    as_person = f"{PERSON} env HOME=/nonexistent"
    found = {key: host.check_output(f"{as_person} dconf read {key}") for key in keys}
    assert found == keys
    folders = {f"{key.rpartition('/')[0]}/" for key in keys}
    locked = [
        line
        for folder in sorted(folders)
        for line in host.check_output(f"{as_person} dconf list-locks {folder}").splitlines()
    ]
    assert sorted(locked) == sorted(keys)


@pytest.mark.running
def test_questions_of_packages_are_answered(host: Any, profile: Any) -> None:
    """A package that would fetch something while it is installed finds its question answered."""
    answers = {key: value for each in leaks_of(profile) for key, value in each.debconf.items()}
    assert answers
    shown = [
        line.strip("* ")
        for package in sorted({key.partition("/")[0] for key in answers})
        for line in host.check_output(f"debconf-show {package}").splitlines()
    ]
    assert {f"{key}: {value}" for key, value in answers.items()} - {*shown} == set()
