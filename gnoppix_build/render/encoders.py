# SPDX-License-Identifier: GPL-3.0-or-later
"""Values as the formats of configuration files write them; each is a Jinja filter of its name."""

import re
from collections.abc import Callable, Mapping
from typing import Final

from gnoppix_build.render.dns_stamp import encode_dnscrypt_stamp, encode_doh_stamp, encode_endpoint

_TORRC_WORD: Final = re.compile(r"[A-Za-z0-9_./:,@+*-]+")
_CONTROL: Final = re.compile(r"[\x00-\x1f\x7f]")
_SHELL_WORD: Final = re.compile(r"[A-Za-z0-9_.@+/-]+")


def encode_torrc(value: object) -> str:
    """Write a value of torrc, as a C string where it is more than a word.

    Source: tor(1), "The configuration file format".
    """
    text = _line(value)
    if _TORRC_WORD.fullmatch(text):
        return text
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'


def encode_nft(value: object) -> str:
    """Write a quoted string of nftables; it has no escapes, so a quote cannot stand in it.

    Source: nft(8), "LEXICAL CONVENTIONS".
    """
    text = _line(value)
    assert '"' not in text, "names and addresses have no quotes"
    return f'"{text}"'


def encode_systemd(value: object) -> str:
    """Write a setting of a unit file: no specifier is expanded, no line is continued.

    Source: systemd.unit(5), "SPECIFIERS"; systemd.syntax(7).
    """
    return _line(value).replace("\\", "\\\\").replace("%", "%%")


def encode_systemd_argument(value: object) -> str:
    """Write one argument of a command line in a unit file, quoted where it is more than a word.

    Source: systemd.service(5), "COMMAND LINES".
    """
    text = encode_systemd(value).replace("$", "$$")
    if text and _SHELL_WORD.fullmatch(text):
        return text
    return '"' + text.replace('"', '\\"') + '"'


def encode_openvpn_parameter(value: object) -> str:
    """Write a parameter of openvpn's configuration, quoted where it is more than a word.

    Source: openvpn(8), "COMMENTS, QUOTES AND ESCAPES".
    """
    text = _line(value)
    if _SHELL_WORD.fullmatch(text):
        return text
    return '"' + re.sub(r'(["\\])', r"\\\1", text) + '"'


def encode_environment(value: object) -> str:
    """Write a value of an environment file such as locale.conf(5)."""
    text = _line(value)
    if _SHELL_WORD.fullmatch(text):
        return text
    return '"' + re.sub(r'(["\\$`])', r"\\\1", text) + '"'


def encode_chrony(value: object) -> str:
    """Write a word of chrony.conf; it has no quotes, so white space cannot stand in it.

    Source: chrony.conf(5), "DIRECTIVES".
    """
    return re.sub(r"\s", "", _line(value))


def encode_apparmor_path(value: object) -> str:
    """Write a path of a profile's rule, in which nothing is a pattern.

    Source: apparmor.d(5), "Globbing (AARE)".
    """
    return '"' + re.sub(r'([\\*?\[\]{}^"])', r"\\\1", _line(value)) + '"'


def encode_toml(value: object) -> str:
    """Write a value of TOML: a truth value, a number, an array, or else a basic string.

    Source: TOML 1.0.0, "String", "Array".
    """
    match value:
        case bool():
            return "true" if value else "false"
        case int():
            return str(value)
        case tuple() | list():
            return f"[{', '.join(map(encode_toml, value))}]"
        case _:
            return '"' + _line(value).replace("\\", "\\\\").replace('"', '\\"') + '"'


def encode_ini(value: object) -> str:
    """Write a value of an INI file as Boost reads it: one line, to which nothing is a comment.

    Source: Boost.Program_options, "Syntax of configuration files": a `#` starts a comment anywhere.
    """
    if isinstance(value, bool):
        return "true" if value else "false"
    text = _line(value)
    assert "#" not in text, "the format has no escape for a `#`"
    assert text == text.strip(), "the format takes spaces at the ends away"
    return text


def _line(value: object) -> str:
    text = str(value)
    assert not _CONTROL.search(text), "options and profiles hold single lines"
    return text


ENCODERS: Final[Mapping[str, Callable[..., str]]] = {
    "apparmor_path": encode_apparmor_path,
    "chrony": encode_chrony,
    "dnscrypt_stamp": encode_dnscrypt_stamp,
    "doh_stamp": encode_doh_stamp,
    "endpoint": encode_endpoint,
    "environment": encode_environment,
    "ini": encode_ini,
    "nft": encode_nft,
    "openvpn_parameter": encode_openvpn_parameter,
    "systemd": encode_systemd,
    "toml": encode_toml,
    "systemd_argument": encode_systemd_argument,
    "torrc": encode_torrc,
}
