# SPDX-License-Identifier: GPL-3.0-or-later
"""Annotations, read the way the CI systems read them."""

import json
from pathlib import PurePath

from hypothesis import given
from hypothesis import strategies as st
from runner_log import read_command

from gnoppix_build.diagnostics import Diagnostic, Note, Span
from gnoppix_build.report.annotation import annotate_github, annotate_gitlab

CHECKOUT = PurePath("/checkout")
# What a runner would obey; the last begins nowhere near the start of a line.
HOSTILE = (
    "::stop-commands::x\n::add-mask::a",
    "\r\n::set-output name=matrix::[]",
    "100%0A::error::x",
    "harmless ##[add-mask]a",
    "\N{LINE SEPARATOR}::error::x\x1b[31m\x85::error::y",
)
texts = st.one_of(
    st.text(max_size=20), st.sampled_from(HOSTILE), st.text(":#%,=[]\r\n\t aA0D", max_size=20)
)
spans = st.builds(Span, texts.map(lambda text: f"f{text}"), *(st.integers(1, 99) for _ in range(4)))
diagnostics = st.builds(
    Diagnostic,
    st.just("port-taken"),
    texts,
    spans,
    st.lists(st.builds(Note, texts, spans | st.none()), max_size=2).map(tuple),
    texts | st.none(),
    st.sampled_from(["error", "warning"]),
)


@given(st.lists(diagnostics, max_size=3))
def test_runner_reads_each_diagnostic_and_no_other_command(told: list[Diagnostic]) -> None:
    written = annotate_github(told, CHECKOUT)
    lines = written.replace("\r", "\n").split("\n")
    assert lines.pop() == ""
    report = json.loads(annotate_gitlab(told, CHECKOUT))
    assert len(lines) == len(told) == len(report)
    for line, diagnostic, issue in zip(lines, told, report, strict=True):
        command = read_command(line)
        assert command is not None
        name, properties, text = command
        assert name == diagnostic.severity
        assert text == issue["description"]
        assert properties["file"] == issue["location"]["path"]
        assert int(properties["line"]) == diagnostic.span.line
        assert properties["title"] == diagnostic.code
        assert not any(char in text + properties["file"] for char in "\r\x1b\x85\u2028")


def test_github_annotation_is_one_line_with_every_place_and_the_way_out() -> None:
    file = "/checkout/profiles/a,b.yaml"
    told = Diagnostic(
        "port-taken",
        "`9050` is wanted by two components",
        Span(file, 14, 20, 14, 24),
        (Note("`i2p` takes it here", Span("components/i2p.yaml", 22, 14, 22, 18)), Note("100%")),
        "give `tor` another port",
    )
    several_lines = Diagnostic("x", "no", Span("/elsewhere/b", 1, 5, 3, 2), severity="warning")
    assert annotate_github([told, several_lines], CHECKOUT) == (
        "::error file=profiles/a%2Cb.yaml,line=14,endLine=14,col=20,endColumn=23,title=port-taken::"
        "`9050` is wanted by two components"
        "%0Anote: components/i2p.yaml:22:14: `i2p` takes it here%0Anote: 100%25"
        "%0Ahint: give `tor` another port\n"
        "::warning file=/elsewhere/b,line=1,endLine=3,title=x::no\n"
    )


def test_gitlab_report_knows_a_mistake_that_moved_and_tells_two_equal_ones_apart() -> None:
    def place(line: int) -> Diagnostic:
        return Diagnostic("unknown-key", "there is no key `suit`", Span("a.yaml", line, 1, line, 5))

    first = json.loads(annotate_gitlab([place(4), place(9)], CHECKOUT))
    moved = json.loads(annotate_gitlab([place(5), place(8)], CHECKOUT))
    assert [each["fingerprint"] for each in first] == [each["fingerprint"] for each in moved]
    assert first[0]["fingerprint"] != first[1]["fingerprint"]
    assert first[0] == {
        "description": "there is no key `suit`",
        "check_name": "unknown-key",
        "fingerprint": first[0]["fingerprint"],
        "severity": "major",
        "location": {"path": "a.yaml", "lines": {"begin": 4, "end": 4}},
    }
