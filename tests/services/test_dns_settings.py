# SPDX-License-Identifier: GPL-3.0-or-later
"""Values as the resolvers' files write them."""

import tomllib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gnoppix_build.render.dns_stamp import encode_dnscrypt_stamp, encode_doh_stamp, encode_endpoint
from gnoppix_build.render.encoders import encode_ini, encode_toml

# As their provider publishes them, in the list of servers of dnscrypt.info.
KEY = "67c847b8c8758cd120245543be756746df34df1d84c00b8c470368df821d863e"
PUBLISHED = {
    "9.9.9.9": "sdns://AQMAAAAAAAAADDkuOS45Ljk6ODQ0MyBnyEe4yHWM0SAkVUO-dWdG3zTfHYTAC4xHA2jfgh2"
    "GPhkyLmRuc2NyeXB0LWNlcnQucXVhZDkubmV0",
    "2620:fe::fe": "sdns://AQMAAAAAAAAAElsyNjIwOmZlOjpmZV06ODQ0MyBnyEe4yHWM0SAkVUO-dWdG3zTfHYTAC"
    "4xHA2jfgh2GPhkyLmRuc2NyeXB0LWNlcnQucXVhZDkubmV0",
}
LINES = st.text(st.characters(exclude_categories=("Cc", "Cs")), max_size=40)


@pytest.mark.parametrize("address", PUBLISHED)
def test_dnscrypt_stamp_is_the_published_one(address: str) -> None:
    stamp = encode_dnscrypt_stamp(address, 8443, "2.dnscrypt-cert.quad9.net", KEY)
    assert stamp == PUBLISHED[address]


def test_dnscrypt_stamp_refuses_a_key_of_another_length() -> None:
    with pytest.raises(AssertionError, match="32 bytes"):
        encode_dnscrypt_stamp("192.0.2.53", 443, "2.dnscrypt-cert.example.net", KEY[2:])


def test_doh_stamp_names_address_host_and_path() -> None:
    # Decoded by hand after the specification: protocol, properties, address, no hash, host, path.
    assert encode_doh_stamp("192.0.2.53", 443, "dns.example.net", "/dns-query") == (
        "sdns://AgMAAAAAAAAADjE5Mi4wLjIuNTM6NDQzABNkbnMuZXhhbXBsZS5uZXQ6NDQzCi9kbnMtcXVlcnk"
    )


@pytest.mark.parametrize(
    ("address", "expected"),
    [("192.0.2.53", "192.0.2.53:853"), ("2001:db8::53", "[2001:db8::53]:853")],
)
def test_endpoint_tells_address_and_port_apart(address: str, expected: str) -> None:
    assert encode_endpoint(address, 853) == expected


@given(LINES | st.booleans() | st.integers(0, 2**31) | st.lists(LINES).map(tuple))
def test_toml_reads_back_what_was_written(value: object) -> None:
    expected = list(value) if isinstance(value, tuple) else value
    assert tomllib.loads(f"key = {encode_toml(value)}\n") == {"key": expected}


@pytest.mark.parametrize("value", ["a # b", " a", "a "])
def test_ini_refuses_what_the_format_cannot_hold(value: str) -> None:
    with pytest.raises(AssertionError):
        encode_ini(value)


@pytest.mark.parametrize(("value", "expected"), [(True, "true"), (False, "false"), (4, "4")])
def test_ini_writes_truth_values_and_numbers(value: object, expected: str) -> None:
    assert encode_ini(value) == expected
