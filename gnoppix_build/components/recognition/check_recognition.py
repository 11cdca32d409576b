# SPDX-License-Identifier: GPL-3.0-or-later
"""What `recognition` promises of a system."""

import secrets
import shlex
from collections.abc import Mapping
from typing import Any

import pytest

from gnoppix_build.checks.programs import command_of
from gnoppix_build.checks.traces import traces_of

PARTS = ("read-text", "speak", "transcribe", "translate")
UNITS = "/etc/systemd/system"
DIGITS = 8
BEFORE = "/run/gnoppix-before-recognition"
PLANTED = "/var/gnoppix-planted-word"
# Words that the voice and the acoustic model agree on after `tomorrow morning`.
WORDS = (
    *("afternoon", "america", "children", "community", "eleven", "evening", "everybody"),
    *("february", "hospital", "industry", "january", "necessary", "particular", "religion"),
)
SPANISH = {
    "bread": "pan",
    "cat": "gato",
    "dog": "perro",
    "hand": "mano",
    "house": "casa",
    "king": "rey",
    "river": "río",
    "sun": "sol",
}


def require(options: Mapping[str, Any], *parts: str) -> None:
    """Leave a check out whose programs the profile does not have."""
    if missing := [part for part in parts if not options[part]]:
        pytest.skip(f"the profile has no {' and no '.join(missing)}")


def spoken(text: str) -> str:
    """Give the command that speaks a text."""
    return f"printf %s {shlex.quote(text)} | speak"


@pytest.mark.static
@pytest.mark.running
def test_user_and_group_have_their_numbers(host: Any) -> None:
    """The user that works on what comes in, and the group that may ask, have their numbers."""
    assert host.user("recognition").uid == 150
    assert host.group("recognisers").gid == 875


@pytest.mark.static
def test_units_have_their_sandbox(host: Any, options: Mapping[str, Any]) -> None:
    """Each unit has no network, no capability, no log, and no disk to write to."""
    for part in (each for each in PARTS if options[each]):
        unit = f"{UNITS}/recognition-{part}@.service"
        written = host.file(unit).content_string.splitlines()
        compiled = host.file(f"{unit}.d/60-gnoppix-sandbox.conf").content_string.splitlines()
        assert {
            "LimitCORE=0",
            "MemorySwapMax=0",
            "StandardError=null",
            "TemporaryFileSystem=/tmp /var/tmp",
        } <= {*written}, part
        assert {
            "CapabilityBoundingSet=",
            "MemoryDenyWriteExecute=yes",
            "NoNewPrivileges=yes",
            "PrivateNetwork=yes",
            "ProtectSystem=strict",
            "RestrictAddressFamilies=AF_UNIX",
            "User=recognition",
        } <= {*compiled}, part


@pytest.mark.running
def test_only_the_group_may_ask(host: Any, options: Mapping[str, Any]) -> None:
    """A user outside of the group cannot connect, one of it can."""
    for part in (each for each in PARTS if options[each]):
        path = f"/run/recognition/{part}.sock"
        assert host.check_output("stat -c %%U:%%G:%%a %s", path) == "recognition:recognisers:660"
        refused = host.run("printf x | setpriv --reuid=65534 --regid=65534 --clear-groups %s", part)
        assert refused.rc == 1
        assert refused.stderr == f"{part}: Permission denied\n"


@pytest.mark.running
def test_spoken_words_come_back(host: Any, options: Mapping[str, Any]) -> None:
    """A random word is spoken, and the words of that sound are the same."""
    require(options, "speak", "transcribe")
    said = f"tomorrow morning {secrets.choice(WORDS)}"
    assert host.check_output(f"{spoken(said)} | transcribe") == said


@pytest.mark.running
def test_digits_in_an_image_are_read(host: Any, options: Mapping[str, Any]) -> None:
    """Random digits are drawn as an image, and read from it."""
    require(options, "read-text")
    digits = "".join(secrets.choice("0123456789") for _ in range(DIGITS))
    assert host.check_output(f"{command_of('draw_digits', digits)} | read-text").strip() == digits


@pytest.mark.running
def test_words_are_translated(host: Any, options: Mapping[str, Any]) -> None:
    """Words in a random order become the Spanish ones."""
    require(options, "translate")
    words = secrets.SystemRandom().sample(sorted(SPANISH), len(SPANISH))
    text = "".join(f"the {word}.\n" for word in words)
    said = host.check_output(f"printf %s {shlex.quote(text)} | translate")
    assert [line.split()[-1].strip(".") for line in said.splitlines()] == [
        SPANISH[word] for word in words
    ]


@pytest.mark.running
def test_nothing_is_written_to_a_disk(host: Any, options: Mapping[str, Any]) -> None:
    """What came in is in no file and in no log afterwards."""
    require(options, "translate")
    nonce = f"q{secrets.token_hex(8)}q"
    host.check_output(f"touch {BEFORE}")
    host.check_output(f"printf {nonce} | translate")
    host.run("journalctl --flush --sync")
    assert traces_of(host, [nonce], BEFORE) == []
    # The search is able to find what is there.
    host.check_output(f"printf {nonce} > {PLANTED}")
    found = traces_of(host, [nonce], BEFORE)
    assert found
    assert [path for path in found if not path.endswith(PLANTED)] == []
    host.check_output(f"rm {PLANTED} {BEFORE}")


@pytest.mark.running
def test_what_is_no_sound_is_refused(host: Any, options: Mapping[str, Any]) -> None:
    """A file of another kind gets a sentence, not an answer."""
    require(options, "transcribe")
    refused = host.run("printf %s | transcribe", "x" * 64)
    assert refused.rc == 1
    assert refused.stderr == "transcribe: this is no WAV file: file does not start with RIFF id\n"
