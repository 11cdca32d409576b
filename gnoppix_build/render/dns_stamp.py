# SPDX-License-Identifier: GPL-3.0-or-later
"""Server stamps: what it takes to reach an encrypted name server, as one string.

Source: "DNS Stamps specification" of dnscrypt.info.
"""

import base64
from ipaddress import IPv6Address, ip_address
from typing import Final

_DNSCRYPT: Final = 1
_DOH: Final = 2
_KEY_BYTES: Final = 32
_VALIDATES_AND_KEEPS_NO_LOG: Final = (0b11).to_bytes(8, "little")
"""What the stamp says of the server. dnscrypt-proxy drops those that do not say it."""


def encode_endpoint(address: str, port: int) -> str:
    """Write an address and a port as in `192.0.2.1:853` or `[2001:db8::1]:853` (RFC 3986)."""
    parsed = ip_address(address)
    host = f"[{parsed}]" if isinstance(parsed, IPv6Address) else str(parsed)
    return f"{host}:{port}"


def encode_doh_stamp(address: str, port: int, host: str, path: str) -> str:
    """Write the stamp of a server of DNS over HTTPS whose certificate is for `host`."""
    any_certificate_of_the_host = b""
    fields = (
        encode_endpoint(address, port).encode(),
        any_certificate_of_the_host,
        f"{host}:{port}".encode(),
        path.encode(),
    )
    return _stamp(_DOH, fields)


def encode_dnscrypt_stamp(address: str, port: int, provider: str, public_key: str) -> str:
    """Write the stamp of a DNSCrypt server; the key is 64 hexadecimal digits."""
    key = bytes.fromhex(public_key)
    assert len(key) == _KEY_BYTES, "an Ed25519 key has 32 bytes"
    return _stamp(_DNSCRYPT, (encode_endpoint(address, port).encode(), key, provider.encode()))


def _stamp(protocol: int, fields: tuple[bytes, ...]) -> str:
    body = bytes([protocol]) + _VALIDATES_AND_KEEPS_NO_LOG
    for each in fields:
        body += bytes([len(each)]) + each
    return "sdns://" + base64.urlsafe_b64encode(body).decode().rstrip("=")
