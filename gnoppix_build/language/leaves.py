# SPDX-License-Identifier: GPL-3.0-or-later
"""What a leaf means, by the type that a schema declares for it."""

import re
from ipaddress import ip_address, ip_network
from typing import Annotated, Any, Final

from pydantic import AfterValidator, BeforeValidator, StringConstraints, WithJsonSchema
from pydantic_core import PydanticCustomError

_EXPOSURE: Final = re.compile("([0-9]|10)[.]([0-9])")
_INTEGER: Final = re.compile("0|-?[1-9][0-9]{0,17}")
_SIZE: Final = re.compile("([1-9][0-9]{0,8}) (MiB|GiB|TiB)")
_LAST_PORT: Final = 65535
_LINE_LIMIT: Final = 4096
_UNITS: Final = {"MiB": 1024**2, "GiB": 1024**3, "TiB": 1024**4}
_SWITCH: Final = {"on": True, "true": True, "off": False, "false": False}


class Plain(str):
    """The text of a leaf that was written without quotes."""

    __slots__ = ()


def mistake(code: str, message: str, hint: str | None = None) -> PydanticCustomError:
    """Make the error that a validator raises; it becomes a diagnostic of this code."""
    return PydanticCustomError(
        "mistake",
        "{message}",
        {
            "code": code,
            "message": message,
            "hint": hint or "",
        },
    )


def read_integer(value: object) -> object:
    """Read a plain whole number without leading zeros, as in YAML 1.2."""
    if not isinstance(value, str):
        return value
    if not isinstance(value, Plain):
        raise mistake(
            "not-a-number", f"a number is wanted, `{value}` is quoted", "take the quotes off"
        )
    if not _INTEGER.fullmatch(value):
        bare = value.lstrip("0")
        hint = f"write `{bare}`" if _INTEGER.fullmatch(bare) else None
        raise mistake("not-a-number", f"a whole number is wanted, not `{value}`", hint)
    return int(value)


def read_count(value: object) -> object:
    """Read a whole number from 1 on."""
    number = read_integer(value)
    if isinstance(number, int) and number < 1:
        raise mistake("not-a-number", f"a number from 1 on is wanted, not `{number}`")
    return number


def read_port(value: object) -> object:
    """Read a port number: 1 to 65535."""
    number = read_integer(value)
    if isinstance(number, int) and not 1 <= number <= _LAST_PORT:
        raise mistake("port-out-of-range", f"`{number}` is not a port", "ports are 1 to 65535")
    return number


def read_switch(value: object) -> object:
    """Read a plain `on` or `off`; `true` and `false` are taken too, `yes` and `no` are not."""
    if not isinstance(value, str):
        return value
    if not isinstance(value, Plain) or value not in _SWITCH:
        raise mistake("not-a-switch", f"`on` or `off` is wanted, not `{value}`")
    return _SWITCH[value]


def read_size(value: object) -> object:
    """Read a size such as `4 GiB` as a number of bytes."""
    if isinstance(value, int):
        return value
    if not isinstance(value, str):
        raise mistake("wrong-type", "a size is wanted here", "write it as in `4 GiB`")
    found = _SIZE.fullmatch(value)
    if found is None:
        raise mistake(
            "not-a-size",
            f"a size is wanted, not `{value}`",
            "write a number, a space, and `MiB`, `GiB` or `TiB`",
        )
    return int(found[1]) * _UNITS[found[2]]


def read_exposure(value: object) -> object:
    """Read an exposure such as `1.5` as a number of tenths, 0 to 100."""
    if isinstance(value, int):
        return value
    if not isinstance(value, str) or not (found := _EXPOSURE.fullmatch(value)):
        raise mistake(
            "not-an-exposure", f"an exposure is wanted, not `{value}`", "write it as in `1.5`"
        )
    return int(found[1]) * 10 + int(found[2])


def check_address(value: str) -> str:
    """Let an IPv4 or IPv6 address pass, written as its standard form."""
    try:
        return str(ip_address(value))
    except ValueError:
        raise mistake(
            "not-an-address",
            f"`{value}` is not an IP address",
            "a name would have to be looked up before anything protects that: write a number",
        ) from None


def check_network(value: str) -> str:
    """Read an IP address or a network in CIDR notation, as an address or `ADDRESS/LENGTH`."""
    try:
        network = ip_network(value)
    except ValueError:
        raise mistake(
            "not-a-network",
            f"`{value}` is neither an IP address nor a network",
            "write it as in `192.0.2.7` or `192.0.2.0/24`, without bits beyond the length",
        ) from None
    return str(network.network_address) if network.num_addresses == 1 else str(network)


def check_line(value: str) -> str:
    """Let a text pass that is one line and not too long."""
    if "\n" in value or "\r" in value or "\t" in value:
        raise mistake("several-lines", "one line of text is wanted")
    if len(value) > _LINE_LIMIT:
        raise mistake("text-too-long", f"the text is longer than {_LINE_LIMIT} characters")
    return value


def check_pattern(value: str) -> str:
    """Let a regular expression pass."""
    try:
        re.compile(value)
    except re.error as error:
        raise mistake("not-a-pattern", f"`{value}` is no regular expression: {error}") from error
    return value


def matching(pattern: str, code: str, noun: str, hint: str | None = None) -> tuple[Any, ...]:
    """Make the annotations of a text that has to match a pattern as a whole."""
    compiled = re.compile(pattern, re.ASCII)

    def check(value: str) -> str:
        if not compiled.fullmatch(value):
            raise mistake(code, f"`{value}` is not {noun}", hint)
        return value

    schema = {"type": "string", "pattern": f"^(?:{pattern})$"}
    return AfterValidator(check), WithJsonSchema(schema)


def within(least: int | None, most: int | None) -> tuple[Any, ...]:
    """Make the annotations of a number that has bounds, or only one, or none."""
    bounds = {"minimum": least, "maximum": most}
    schema = {key: bound for key, bound in bounds.items() if bound is not None}

    def check(value: int) -> int:
        if least is not None and value < least:
            raise mistake("out-of-bounds", f"`{value}` is too small", f"write {least} or more")
        if most is not None and value > most:
            raise mistake("out-of-bounds", f"`{value}` is too large", f"write {most} or less")
        return value

    return AfterValidator(check), WithJsonSchema({"type": "integer", **schema})


Integer = Annotated[int, BeforeValidator(read_integer)]
Count = Annotated[
    int,
    BeforeValidator(read_count),
    WithJsonSchema({"type": "integer", "minimum": 1}),
]
Port = Annotated[
    int,
    BeforeValidator(read_port),
    WithJsonSchema({"type": "integer", "minimum": 1, "maximum": _LAST_PORT}),
]
Switch = Annotated[
    bool, BeforeValidator(read_switch), WithJsonSchema({"enum": ["on", "off", True, False]})
]
Size = Annotated[
    int,
    BeforeValidator(read_size),
    WithJsonSchema({"type": "string", "pattern": f"^{_SIZE.pattern}$"}),
]
Line = Annotated[str, StringConstraints(strict=True), AfterValidator(check_line)]
Exposure = Annotated[
    int,
    BeforeValidator(read_exposure),
    WithJsonSchema({"type": "string", "pattern": f"^{_EXPOSURE.pattern}$"}),
]
"""Tenths of what systemd-analyze(1), "security", calls the overall exposure level."""
IpAddress = Annotated[str, StringConstraints(strict=True), AfterValidator(check_address)]
IpNetwork = Annotated[str, StringConstraints(strict=True), AfterValidator(check_network)]
Pattern = Annotated[str, StringConstraints(strict=True), AfterValidator(check_pattern)]

_NAME = matching(
    "[a-z0-9][a-z0-9._-]{0,63}",
    "not-a-name",
    "a name",
    "names have lower-case letters, digits, `.`, `_` and `-`, and start with a letter or digit",
)
Name = Annotated[str, _NAME[0], _NAME[1]]
_KEBAB = matching(
    "[a-z][a-z0-9]*(-[a-z0-9]+){0,8}",
    "not-a-name",
    "a name",
    "names have lower-case letters and digits, with `-` between words",
)
KebabName = Annotated[str, _KEBAB[0], _KEBAB[1]]
_PACKAGE = matching(
    "[a-z0-9][a-z0-9+.-]+",
    "not-a-package",
    "the name of a Debian package",
    "package names have lower-case letters, digits, `+`, `-` and `.`",
)
PackageName = Annotated[str, _PACKAGE[0], _PACKAGE[1]]
_MODULE = matching("[a-z0-9_-]{1,56}", "not-a-module", "the name of a kernel module")
ModuleName = Annotated[str, _MODULE[0], _MODULE[1]]
_SYSCTL = matching(
    r"-?[a-z0-9_*-]+([./][A-Za-z0-9_*-]+)+", "not-a-sysctl", "the key of a kernel setting"
)
SysctlKey = Annotated[str, _SYSCTL[0], _SYSCTL[1]]
_ARGUMENT = matching(
    "[A-Za-z0-9_.-]+(=[A-Za-z0-9_.,:/=+@%|-]*)?", "not-an-argument", "an argument of the kernel"
)
KernelArgument = Annotated[str, _ARGUMENT[0], _ARGUMENT[1]]

_USER = matching(
    "[a-z_][a-z0-9_-]{0,30}",
    "not-a-user",
    "the name of a user or a group",
    "such names have lower-case letters, digits, `_` and `-`, and start with a letter or `_`",
)
UserName = Annotated[str, _USER[0], _USER[1]]
_PATH = matching(
    r"(/[A-Za-z0-9_+,:@=~-][A-Za-z0-9._+,:@=~-]*|/[.][A-Za-z0-9_+,:@=~-][A-Za-z0-9._+,:@=~-]*)+",
    "not-a-path",
    "an absolute path",
    "write it from `/` on, without `..`, spaces or a `/` at its end",
)
SystemPath = Annotated[str, _PATH[0], _PATH[1]]
_EACH_PATH = matching(
    r"(/([A-Za-z0-9_+,:@=~.-]|\{model\})+)+",
    "not-a-path",
    "an absolute path",
    "write it from `/` on; `{model}` stands for the name of each language model",
)
PathOfEach = Annotated[str, _EACH_PATH[0], _EACH_PATH[1]]
_UNIT = matching(
    r"[A-Za-z0-9:_.\\-]+(@[A-Za-z0-9:_.\\-]*)?[.](service|socket)",
    "not-a-unit",
    "the name of a service or a socket unit",
)
UnitName = Annotated[str, _UNIT[0], _UNIT[1]]
# Source: systemd.unit(5).
_ANY_UNIT = matching(
    r"[A-Za-z0-9:_.\\-]+(@[A-Za-z0-9:_.\\-]*)?"
    "[.](automount|device|mount|path|scope|service|slice|socket|swap|target|timer)",
    "not-a-unit",
    "the name of a unit with its type, such as `cups.service`",
)
AnyUnitName = Annotated[str, _ANY_UNIT[0], _ANY_UNIT[1]]
_CAPABILITY = matching("CAP_[A-Z_]+", "not-a-capability", "a capability such as `CAP_SETUID`")
Capability = Annotated[str, _CAPABILITY[0], _CAPABILITY[1]]
_SETTING = matching("[A-Z][A-Za-z0-9]+", "not-a-setting", "a setting of systemd.exec(5)")
UnitSetting = Annotated[str, _SETTING[0], _SETTING[1]]
_INTERFACE = matching(
    "[a-z][a-z0-9_.-]{0,14}", "not-an-interface", "the name of a network interface"
)
InterfaceName = Annotated[str, _INTERFACE[0], _INTERFACE[1]]
_SHA256 = matching(
    "[0-9a-f]{64}", "not-a-digest", "a SHA-256 digest", "write its 64 digits, in lower case"
)
Sha256 = Annotated[str, _SHA256[0], _SHA256[1]]
_COMMIT = matching(
    "[0-9a-f]{40}",
    "not-a-commit",
    "a commit",
    "write its 40 digits: what a branch or a tag names may change",
)
Commit = Annotated[str, _COMMIT[0], _COMMIT[1]]
_WEB_ADDRESS = matching(
    r"https?://[A-Za-z0-9.-]+(:[0-9]{1,5})?(/[A-Za-z0-9._~%+-]+)*",
    "not-a-web-address",
    "the address of a file or a folder at a web server",
    "write `https://HOST/PATH`, with no user name or password",
)
WebAddress = Annotated[str, _WEB_ADDRESS[0], _WEB_ADDRESS[1]]
_FILE_PATH = matching(
    r"([A-Za-z0-9_+-][A-Za-z0-9._+-]*/)*[A-Za-z0-9_+-][A-Za-z0-9._+-]*",
    "not-a-relative-path",
    "a path below a folder",
    "write it without `..` and without a `/` at its start",
)
FilePath = Annotated[str, _FILE_PATH[0], _FILE_PATH[1]]
# Source: PEP 508 and PEP 440, without what may stand for several versions.
_WHEEL = matching(
    r"[A-Za-z0-9]([A-Za-z0-9._-]*[A-Za-z0-9])?==[0-9]+(\.[0-9]+)*[a-z0-9.+]*",
    "not-a-wheel",
    "one version of a Python package",
    "write it as in `name==1.2.3`",
)
WheelPin = Annotated[str, _WHEEL[0], _WHEEL[1]]
_VARIABLE = matching(
    "[A-Z][A-Z0-9_]{0,62}", "not-a-variable", "the name of a variable of the environment"
)
VariableName = Annotated[str, _VARIABLE[0], _VARIABLE[1]]
