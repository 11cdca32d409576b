# SPDX-License-Identifier: GPL-3.0-or-later
"""Large files of web servers: a broken transfer goes on where it stopped.

Source: RFC 9110, 14.2 (Range) and 15.3.7 (206).
"""

import http.client
import re
import urllib.error
import urllib.request
from typing import Final

from gnoppix_build.effects.arrival import Arrival
from gnoppix_build.effects.faults import MirrorFault

ATTEMPTS: Final = 3
SILENCE_S: Final = 60
_PARTIAL: Final = 206
_RANGE_NOT_SATISFIABLE: Final = 416
_AGAIN: Final = "run the same command again: it goes on where it stopped"


def download(url: str, arrival: Arrival) -> None:
    """Bring what a URL gives, by the proxies of the environment.

    Raises MirrorFault when the server gives no more; what has arrived is kept.
    """
    for attempt in range(1, ATTEMPTS + 1):
        before = arrival.arrived
        try:
            _transfer(url, arrival)
        except urllib.error.HTTPError as error:
            if error.code == _RANGE_NOT_SATISFIABLE and before:
                arrival.forget()
                continue
            raise MirrorFault(f"{url} could not be had: {error.code} {error.reason}") from error
        except (OSError, http.client.HTTPException) as error:
            if attempt == ATTEMPTS and arrival.arrived == before:
                raise MirrorFault(f"{url} could not be had: {error}", hint=_AGAIN) from error
        if arrival.arrived >= arrival.size:
            return
    raise MirrorFault(f"{url} gave {arrival.arrived} of {arrival.size} bytes", hint=_AGAIN)


def _transfer(url: str, arrival: Arrival) -> None:
    start = arrival.arrived
    if start >= arrival.size:
        return
    request = urllib.request.Request(url, headers={"Range": f"bytes={start}-"} if start else {})  # noqa: S310 - the manifest's own pattern admits http and https only
    with urllib.request.urlopen(request, timeout=SILENCE_S) as answer:  # noqa: S310
        goes_on = answer.status == _PARTIAL and _starts_at(answer.headers, start)
        arrival.append(answer, start if goes_on else 0)


def _starts_at(headers: http.client.HTTPMessage, start: int) -> bool:
    found = re.fullmatch(r"bytes (\d+)-\d+/(\d+|\*)", headers.get("Content-Range", ""))
    return found is not None and int(found[1]) == start
