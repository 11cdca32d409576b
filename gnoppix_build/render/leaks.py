# SPDX-License-Identifier: GPL-3.0-or-later
"""The files by which programs are kept from telling others what nobody asked them to.

Source: environment.d(5); systemd-system.conf(5), `DefaultEnvironment=`; dconf(7), "PROFILES" and
"LOCKS"; debconf-set-selections(1).
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Final

from gnoppix_build.catalog.leak import Leak
from gnoppix_build.render.encoders import encode_environment, encode_systemd
from gnoppix_build.resolve.model import ResolvedComponent

_DCONF_PROFILE: Final = "user-db:user\nsystem-db:local\n"


def leak_files(component: ResolvedComponent) -> Iterator[tuple[str, str]]:
    """Give path -> text, without a header; a form that no leak is ended by gives no file."""
    leaks = [each for each in component.manifest.leaks if component.holds(each.when)]
    name = f"gnoppix-{component.name}"
    variables = {key: each.environment[key] for each in leaks for key in each.environment}
    if variables:
        file = f"/etc/environment.d/60-{name}.conf"
        yield file, "".join(_explained(leaks))
        yield f"/etc/profile.d/{name}.sh", f"set -a\n. {file}\nset +a\n"
        lines = "".join(
            f"DefaultEnvironment={_quoted(f'{key}={variables[key]}')}\n"
            for key in sorted(variables)
        )
        yield f"/etc/systemd/system.conf.d/60-{name}.conf", f"[Manager]\n{lines}"
    keys = {key: each.dconf[key] for each in leaks for key in each.dconf}
    if keys:
        yield "/etc/dconf/profile/user", _DCONF_PROFILE
        yield f"/etc/dconf/db/local.d/60-{name}", _keyfile(keys)
        locks = "".join(f"{key}\n" for key in sorted(keys))
        yield f"/etc/dconf/db/local.d/locks/60-{name}", locks
    if answers := {key: each.debconf[key] for each in leaks for key in each.debconf}:
        lines = "".join(
            f"{key.partition('/')[0]} {key} select {answers[key]}\n" for key in sorted(answers)
        )
        yield f"/usr/share/gnoppix/debconf/{component.name}.selections", lines


def _quoted(text: str) -> str:
    return '"' + encode_systemd(text).replace('"', '\\"') + '"'


def _explained(leaks: Sequence[Leak]) -> Iterator[str]:
    for each in leaks:
        if each.environment:
            yield f"# {each.program}: {each.tells}\n"
            for key in sorted(each.environment):
                yield f"{key}={encode_environment(each.environment[key])}\n"


def _keyfile(keys: Mapping[str, str]) -> str:
    folders = sorted({key.rpartition("/")[0] for key in keys})
    text = ""
    for folder in folders:
        text += f"[{folder.lstrip('/')}]\n"
        for key in sorted(keys):
            if key.rpartition("/")[0] == folder:
                text += f"{key.rpartition('/')[2]}={keys[key]}\n"
    return text
