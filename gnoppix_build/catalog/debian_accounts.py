# SPDX-License-Identifier: GPL-3.0-or-later
"""The users that every Debian system has, with their numbers, which are the same on all of them.

Source: passwd.master of base-passwd.
"""

from collections.abc import Mapping
from typing import Final

DEBIAN_USERS: Final[Mapping[str, int]] = {
    "root": 0,
    "daemon": 1,
    "bin": 2,
    "sys": 3,
    "sync": 4,
    "games": 5,
    "man": 6,
    "lp": 7,
    "mail": 8,
    "news": 9,
    "uucp": 10,
    "proxy": 13,
    "www-data": 33,
    "backup": 34,
    "list": 38,
    "irc": 39,
    "_apt": 42,
    "nobody": 65534,
}
