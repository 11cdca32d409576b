# SPDX-License-Identifier: GPL-3.0-or-later
"""Diagnostics: the whole message, compared as it is printed."""

from gnoppix_build.diagnostics import Diagnostic, Note, Span, format_diagnostic


def test_format_diagnostic_quotes_the_line_and_lists_the_other_places() -> None:
    here = Span("profiles/desktop.yaml", 2, 3, 2, 7)
    there = Span("components/i2p/component.yaml", 22, 14, 22, 18)
    diagnostic = Diagnostic(
        code="port-taken",
        message="`9050` is wanted by two components",
        span=here,
        notes=(Note("`i2p` takes it here (its default)", there),),
        hint="give `tor` another port, or drop `i2p`",
    )
    sources = {"profiles/desktop.yaml": "tor:\n  9050\n"}
    assert format_diagnostic(diagnostic, sources) == (
        "profiles/desktop.yaml:2:3: error[port-taken]: `9050` is wanted by two components\n"
        "  |\n"
        "2 |   9050\n"
        "  |   ^^^^\n"
        "  = note: components/i2p/component.yaml:22:14: `i2p` takes it here (its default)\n"
        "  = hint: give `tor` another port, or drop `i2p`"
    )


def test_format_diagnostic_shows_no_control_characters() -> None:
    diagnostic = Diagnostic(code="text", message="found", span=Span("a", 1, 1, 1, 2))
    assert "\x1b" not in format_diagnostic(diagnostic, {"a": "\x1b[31mred"})


def test_format_diagnostic_shows_a_window_of_a_long_line() -> None:
    span = Span("a", 1, 1001, 1, 5000)
    text = format_diagnostic(
        Diagnostic(code="text", message="\x1b[0m", span=span), {"a": "x" * 9000}
    )
    assert max(len(line) for line in text.splitlines()) < 200
    assert "\x1b" not in text
