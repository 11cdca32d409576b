# SPDX-License-Identifier: GPL-3.0-or-later
"""Time servers with Network Time Security at the far end of a cable, with the host's time."""

from collections.abc import Sequence
from pathlib import Path

import yaml
from guest import Guest
from vpn_far_end import FarEnd

from gnoppix_build.catalog.load import COMPONENTS_FOLDER

TRUSTED = "/etc/ssl/certs/ca-certificates.crt"
FIRST_ADDRESS = 11
CERTIFICATE = """
set -e
cd /mnt
openssl req -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -keyout time.key -out time.csr \\
    -subj /CN=time
printf 'keyUsage=digitalSignature\\nextendedKeyUsage=serverAuth\\nsubjectAltName=%s' "$1" >time.ext
openssl x509 -req -in time.csr -CA ca.crt -CAkey ca.key -CAcreateserial -extfile time.ext \\
    -not_before "$2" -not_after "$3" -out time.crt
"""
# It answers by the host's clock, and never sets it: `chronyd -x`. Source: chrony.conf(5).
SETTINGS = """
allow
local stratum 1
cmdport 0
bindcmdaddress /
pidfile /run/time-server.pid
ntsservercert /mnt/time.crt
ntsserverkey /mnt/time.key
"""


def declared_servers() -> tuple[str, ...]:
    """Name the time servers that the component `time` asks unless told otherwise."""
    manifest = yaml.safe_load((COMPONENTS_FOLDER / "time/component.yaml").read_text())
    return tuple(manifest["options"]["nts-servers"]["default"])


class TimeServers:
    """Every declared time server, at an address of its own of a far end."""

    def __init__(self, far: FarEnd, work: Path) -> None:
        self._far = far
        self._work = work
        self.addresses = {
            name: f"203.0.113.{number}"
            for number, name in enumerate(declared_servers(), FIRST_ADDRESS)
        }

    def start(self, valid: tuple[str, str]) -> None:
        """Start them with a certificate of the far end's authority, good from and to."""
        names = ",".join(f"DNS:{name}" for name in self.addresses)
        self._far.namespace.run_in_root("sh", "-c", CERTIFICATE, "sh", names, *valid)
        for address in self.addresses.values():
            self._far.namespace.run("ip", "address", "add", f"{address}/32", "dev", "lo")
        (self._work / "time.conf").write_text(SETTINGS)
        argv: Sequence[str] = ("chronyd", "-d", "-x", "-u", "root", "-f", "/mnt/time.conf")
        with (self._work / "chronyd.log").open("wb") as log:
            self._far.namespace.start(self._far.namespace.command_in_root(*argv), log)

    def vouch_to(self, guest: Guest) -> None:
        """Have a guest trust the authority of the far end."""
        guest.write("/root/ca.crt", (self._work / "ca.crt").read_bytes())
        guest.said(f"cat /root/ca.crt >>{TRUSTED}")

    def name_to(self, guest: Guest) -> None:
        """Tell a guest where the servers' names lead, as a resolver does on a network."""
        lines = "".join(f"{address} {name}\n" for name, address in self.addresses.items())
        guest.write("/root/hosts", lines.encode())
        guest.said("cat /root/hosts >>/etc/hosts")
