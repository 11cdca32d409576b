# SPDX-License-Identifier: GPL-3.0-or-later
"""What `telemetry-off` promises of a system."""

import fnmatch
from typing import Any

import pytest

PREFERENCES = "/etc/apt/preferences.d/50-gnoppix-telemetry-off.pref"
VARIABLES = "/etc/environment.d/50-gnoppix-telemetry-off.conf"
ARCHIVE = "/run/gnoppix-archive"
# An archive of one's own with a package that reports and one that does not, asked by apt.
OFFER = f"""
set -e
umask 022
rm -rf {ARCHIVE}
mkdir -p {ARCHIVE}/lists/partial {ARCHIVE}/cache/archives/partial
cd {ARCHIVE}
for name in popularity-contest gnoppix-harmless; do
    mkdir -p $name/DEBIAN
    {{ echo "Package: $name"; echo "Version: 9999"; echo "Architecture: all"
       echo "Maintainer: Nobody <nobody@localhost>"
       echo "Description: $name"; }} > $name/DEBIAN/control
    dpkg-deb --root-owner-group --build $name >/dev/null
    {{ cat $name/DEBIAN/control; echo "Filename: ./$name.deb"; echo "Size: $(stat -c %s $name.deb)"
       echo "SHA256: $(sha256sum $name.deb | cut -d' ' -f1)"; echo; }} >> Packages
done
echo "deb [trusted=yes] file:{ARCHIVE} ./" > sources.list
"""
APT = (
    f"apt-get -o Dir::Etc::SourceList={ARCHIVE}/sources.list -o Dir::Etc::SourceParts=/dev/null"
    f" -o Dir::State::Lists={ARCHIVE}/lists -o Dir::Cache={ARCHIVE}/cache"
    " -o APT::Sandbox::User=root"
)


def refused_patterns(host: Any) -> list[str]:
    """Read the names, with wildcards, that apt is told to refuse."""
    lines = host.file(PREFERENCES).content_string.splitlines()
    return [
        pattern
        for line in lines
        if line.startswith("Package:")
        for pattern in line.removeprefix("Package:").split()
    ]


def installed_packages(host: Any) -> list[str]:
    """Read the names of the installed packages."""
    status = host.file("/var/lib/dpkg/status").content_string
    found = []
    for paragraph in status.split("\n\n"):
        fields = dict(line.split(": ", 1) for line in paragraph.splitlines() if ": " in line)
        if fields.get("Status", "").endswith(" installed"):
            found.append(fields["Package"])
    return found


def declared_masks(profile: Any) -> list[str]:
    """Give the units that this component masks."""
    component = next(each for each in profile.components if each.folder.name in __file__)
    return [unit for each in component.contributions for unit in each.units.mask]


@pytest.mark.static
@pytest.mark.running
def test_nothing_that_reports_is_installed(host: Any) -> None:
    """No package is installed that tells others about the machine."""
    installed = installed_packages(host)
    assert "apt" in installed
    patterns = refused_patterns(host)
    reporting = [name for pattern in patterns for name in fnmatch.filter(installed, pattern)]
    assert reporting == []


@pytest.mark.running
def test_apt_refuses_what_reports(host: Any) -> None:
    """Apt does not install a package that reports, offered beside one that it does install."""
    host.check_output(OFFER)
    host.check_output(f"{APT} update")
    harmless = host.run(f"{APT} install --simulate gnoppix-harmless")
    reporting = host.run(f"{APT} install --simulate popularity-contest")
    host.check_output(f"rm -r {ARCHIVE}")
    assert harmless.rc == 0, harmless.stderr
    assert reporting.rc != 0
    assert "no installation candidate" in reporting.stderr


@pytest.mark.running
def test_units_that_report_do_not_start(host: Any, profile: Any) -> None:
    """The units of what reports are masked, whichever way they come onto the machine."""
    units = declared_masks(profile)
    assert units
    states = host.run("systemctl is-enabled " + " ".join(units)).stdout.split()
    assert states == ["masked"] * len(units)


@pytest.mark.running
def test_people_and_services_carry_the_variables(host: Any) -> None:
    """A login shell and a service ask programs not to report."""
    wanted = {
        line
        for line in host.file(VARIABLES).content_string.splitlines()
        if line and not line.startswith("#")
    }
    login = host.check_output("env -i sh -lc env").splitlines()
    assert wanted - {*login} == set()
    service = host.check_output("systemd-run --quiet --pipe --wait --collect env").splitlines()
    assert "DO_NOT_TRACK=1" in service
