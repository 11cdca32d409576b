# SPDX-License-Identifier: GPL-3.0-or-later
"""Contracts: what a kind asks of its components, a service of its component, units of a name."""

from collections.abc import Mapping
from pathlib import Path

import pytest
from profile_workbench import WrittenSources

from gnoppix_build.catalog.load import KINDS_FOLDER, load_catalog
from gnoppix_build.diagnostics import format_diagnostic

ANONYMITY = """\
layer: packages
summary: A way of its own
declares: [egress]
because: people choose it for where it sends
"""
MODEL = """\
layer: packages
summary: Data only
declares: [model]
never-has: [files]
because: a model is data
"""
RECOGNITION = """\
layer: packages
summary: Recognition
is-confined: on
because: it stays here
"""
AUDIT = """\
layer: packages
summary: Checks only
never-declares: [packages]
because: an audit leaves a system as it is
"""


def said(manifest: str, *, with_files: bool = False, kinds: Mapping[str, str] | None = None) -> str:
    sources = {
        f"{KINDS_FOLDER}/anonymity-service.yaml": ANONYMITY,
        f"{KINDS_FOLDER}/audit.yaml": AUDIT,
        f"{KINDS_FOLDER}/ai-model.yaml": MODEL,
        f"{KINDS_FOLDER}/recognition.yaml": RECOGNITION,
        **{f"{KINDS_FOLDER}/{name}.yaml": text for name, text in (kinds or {}).items()},
        "c/one/component.yaml": manifest,
        **({"c/one/files/x": ""} if with_files else {}),
    }
    catalog = load_catalog([Path("c")], WrittenSources(sources))
    return "\n".join(format_diagnostic(each, catalog.sources) for each in catalog.diagnostics)


def test_component_that_keeps_its_contract_is_taken() -> None:
    egress = "egress: [{user: root, protocol: tcp}]\n"
    assert said(f"kind: anonymity-service\nsummary: one\n{egress}") == ""
    assert said("kind: audit\nsummary: one\n") == ""


@pytest.mark.parametrize(
    "unit", ["a.service", "a@.service", "a@b.socket", r"dev-a\x2db.swap", "x.y.target", "-.mount"]
)
def test_unit_has_a_type(unit: str) -> None:
    assert said(f"kind: audit\nsummary: one\nunits: {{mask: ['{unit}']}}\n") == ""


@pytest.mark.parametrize(
    "unit", ["cups", "cups.", "cups.conf", "cups@x", "a/b.service", ".service"]
)
def test_unit_without_a_type_is_a_mistake(unit: str) -> None:
    """systemctl(1) would take `cups` for `cups.service`, and no rule would."""
    (head, *_) = said(f"kind: audit\nsummary: one\nunits: {{mask: ['{unit}']}}\n").split("\n")
    assert head == (
        f"c/one/component.yaml:3:16: error[not-a-unit]: `{unit}` is not the name of a unit with "
        "its type, such as `cups.service`"
    )


def test_component_that_lacks_what_its_kind_declares_is_refused() -> None:
    assert (
        said("kind: anonymity-service\nsummary: one\n")
        == """\
c/one/component.yaml:1:7: error[contract]: a component of the kind `anonymity-service` has to \
declare its `egress`
  |
1 | kind: anonymity-service
  |       ^^^^^^^^^^^^^^^^^
  = hint: people choose it for where it sends"""
    )


def test_component_that_declares_what_its_kind_never_does_is_refused() -> None:
    assert (
        said("kind: audit\nsummary: one\npackages: [vim]\n")
        == """\
c/one/component.yaml:3:1: error[contract]: a component of the kind `audit` declares no `packages`
  |
3 | packages: [vim]
  | ^^^^^^^^
  = hint: an audit leaves a system as it is"""
    )


DECLARED_MODEL = """\
model:
  format: gguf
  source: {url: "https://example.org/m.gguf"}
  bytes: 1
  sha256: "0000000000000000000000000000000000000000000000000000000000000000"
  licence: CC0-1.0
  purpose: test
  languages: [en]
  parameters: 1
  quantisation: F32
  architecture: llama
  context: 1
  layers: 1
  kv-heads: 1
  head-dim: 1
  width: 1
"""


def test_model_is_data_only() -> None:
    manifest = f"kind: ai-model\nsummary: one\n{DECLARED_MODEL}"
    assert said(manifest) == ""
    assert (
        said(manifest, with_files=True)
        == """\
c/one/component.yaml:1:7: error[contract]: a component of the kind `ai-model` has no folder `files`
  |
1 | kind: ai-model
  |       ^^^^^^^^
  = hint: a model is data"""
    )
    assert (
        said(f"kind: audit\nsummary: one\n{DECLARED_MODEL}")
        == """\
c/one/component.yaml:3:1: error[contract]: a component of the kind `audit` is no model
  |
3 | model:
  | ^^^^^"""
    )


def test_component_of_a_confined_kind_sends_nothing() -> None:
    manifest = "kind: recognition\nsummary: one\negress:\n  - {user: root, reach: none}\n"
    assert said(manifest) == ""
    assert (
        said(f"{manifest}  - {{user: root, reach: loopback}}\n")
        == """\
c/one/component.yaml:5:5: error[contract]: a component of the kind `recognition` sends nothing: \
`reach: none`
  |
5 |   - {user: root, reach: loopback}
  |     ^^^^^^^^^^^^^^^^^^^^^^^^^^^^^
  = hint: it stays here"""
    )


def test_user_of_a_confined_kind_says_that_it_sends_nothing() -> None:
    user = "kind: recognition\nsummary: one\nusers:\n  - {name: quiet, uid: 900}\n"
    assert said(f"{user}egress: [{{user: quiet, reach: none}}]\n") == ""
    assert (
        said(f"{user}egress: [{{user: root, reach: none}}]\n")
        == """\
c/one/component.yaml:4:5: error[contract]: nothing says that `quiet` sends nothing, as with the \
kind `recognition`
  |
4 |   - {name: quiet, uid: 900}
  |     ^^^^^^^^^^^^^^^^^^^^^^^
  = hint: add `{user: quiet, reach: none}` to `egress`"""
    )


def test_service_of_a_confined_kind_has_a_user_that_sends_nothing() -> None:
    text = said(
        "kind: recognition\nsummary: one\n"
        "services: [{unit: one.service, user: root, exposure: 1.0}]\n"
    )
    assert text.count("error[contract]: nothing says that `root` sends nothing") == 1, text


SWITCHED = """\
kind: recognition
summary: one
users: [{name: quiet, uid: 900USER}]
egress: [{user: quiet, reach: none, when: {port: ["on"]}}]
options:
  port: {type: switch, default: off, doc: One., example: on}
"""


@pytest.mark.parametrize(
    ("when", "mistakes"), [("", 1), (', when: {port: ["off"]}', 1), (', when: {port: ["on"]}', 0)]
)
def test_user_is_silent_whenever_it_is_there(when: str, mistakes: int) -> None:
    text = said(SWITCHED.replace("USER", when))
    assert text.count("error[contract]: nothing says that `quiet` sends") == mistakes, text


LISTENING = """\
kind: recognition
summary: one
listens: [{protocol: tcp, address: ADDRESS, port: 80, user: root}]
options:
  address: {type: address, default: 127.0.0.1, doc: One., example: 127.0.0.1}
"""


@pytest.mark.parametrize(
    ("address", "mistakes"),
    [("127.0.0.1", 0), ("0.0.0.0", 1), ("192.0.2.1", 1), ("{option: address}", 1)],
)
def test_component_of_a_confined_kind_listens_on_this_machine_only(
    address: str, mistakes: int
) -> None:
    text = said(LISTENING.replace("ADDRESS", address))
    wanted = "error[contract]: a component of the kind `recognition` listens on this machine only"
    assert text.count(wanted) == mistakes, text


@pytest.mark.parametrize(
    ("service", "codes"),
    [
        ("exposure: 2.0", 0),
        ("exposure: 2.1", 1),
        ("exposure: 2.1, because: it needs a device", 0),
    ],
)
def test_service_exposed_beyond_two_says_why(service: str, codes: int) -> None:
    text = said(
        f"kind: audit\nsummary: one\nservices:\n  - {{unit: one.service, user: root, {service}}}\n"
    )
    assert text.count("error[exposure-without-reason]") == codes, text


def shipped_kind(kind: str) -> dict[str, str]:
    return {kind: (KINDS_FOLDER / f"{kind}.yaml").read_text()}


OPENED = """\
kind: KIND
summary: one
NEEDS
egress: [{user: one, reach: none}]
services: [{unit: one.service, user: one, exposure: 1.0, relaxes: {SETTING}}]
sockets: [{path: /run/one, user: one}]
"""
OPTIONAL_UNITS = """\
options: {port: {type: switch, default: off, doc: One., example: on}}
optional: [{when: {port: ["on"]}, units: {UNITS}}]
"""
REMOTE = "needs: [{name: remote-models, because: it asks one}]"


@pytest.mark.parametrize(
    ("kind", "needs"), [("ai-runtime", ""), ("recognition", ""), ("ai-gateway", REMOTE)]
)
@pytest.mark.parametrize(
    ("setting", "mistakes"),
    [
        ("PrivateNetwork: {to: 'no', because: it may}", 1),
        ("RestrictAddressFamilies: {to: AF_INET, because: it may}", 1),
        ("TemporaryFileSystem: {to: '', because: it may}", 1),
        ("UMask: {to: '0117', because: it may}", 0),
    ],
)
def test_shipped_kinds_of_ai_keep_their_sandbox_closed(
    kind: str, needs: str, setting: str, mistakes: int
) -> None:
    manifest = OPENED.replace("KIND", kind).replace("NEEDS", needs).replace("SETTING", setting)
    text = said(manifest, kinds=shipped_kind(kind))
    assert text.count("error[contract]") == mistakes, text
    assert text.count(f"a service of the kind `{kind}` does not relax `") == mistakes, text


@pytest.mark.parametrize("place", ["units: {UNITS}", OPTIONAL_UNITS])
def test_shipped_runtime_starts_no_service_without_a_sandbox(place: str) -> None:
    units = place.replace("UNITS", "enable: [one.service, bare.service, one.socket]")
    manifest = OPENED.replace("KIND", "ai-runtime").replace("NEEDS", units)
    text = said(manifest.replace("SETTING", ""), kinds=shipped_kind("ai-runtime"))
    assert text.count("error[contract]") == 1, text
    assert "`bare.service` is started, and no sandbox is declared for it" in text


def test_shipped_gateway_goes_through_another_component_and_says_whom_it_asks() -> None:
    manifest = OPENED.replace("KIND", "ai-gateway").replace("SETTING", "")
    direct = manifest.replace("reach: none", "protocol: tcp, ports: [443]").replace("NEEDS\n", "")
    text = said(direct, kinds=shipped_kind("ai-gateway"))
    assert "a component of the kind `ai-gateway` reaches the network through another one" in text
    assert "a component of the kind `ai-gateway` has to say that it needs `remote-models`" in text
    assert text.count("error[contract]") == 2, text
    carried = manifest.replace("reach: none", "through: tor").replace("NEEDS", REMOTE)
    # The catalog of this test has no features.
    assert "error[contract]" not in said(carried, kinds=shipped_kind("ai-gateway"))


@pytest.mark.parametrize("kind", ["ai-runtime", "recognition"])
def test_shipped_kinds_of_what_works_here_take_no_way_out(kind: str) -> None:
    rules = (KINDS_FOLDER / f"{kind}.yaml").read_text()
    manifest = f"""\
kind: {kind}
summary: one
egress: [{{user: bad-llm, protocol: tcp}}]
services: [{{unit: one.service, user: bad-llm, exposure: 1.0}}]
sockets: [{{path: /run/one, user: bad-llm}}]
"""
    text = said(manifest, kinds={kind: rules})
    sends = f"error[contract]: a component of the kind `{kind}` sends nothing: `reach: none`"
    assert f"c/one/component.yaml:3:10: {sends}" in text
    assert text.count("error[contract]") == 2, text
