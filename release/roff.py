# SPDX-License-Identifier: GPL-3.0-or-later
"""The man page format, from plain text with backticks. Source: man(7), groff_char(7)."""

import re
from collections.abc import Iterable, Sequence

CODE = re.compile(r"`([^`]+)`")
PARAGRAPH = re.compile(r"\n[ \t]*\n")
AS_IT_STANDS = "\b\n"
"""Click's mark of a paragraph whose lines stay lines."""


def escape(text: str) -> str:
    """Write text so that it is printed as it is, whatever it begins with."""
    plain = text.replace("\\", "\\(rs").replace("-", "\\-").replace("~", "\\(ti")
    plain = plain.replace("^", "\\(ha").replace("`", "\\(ga").replace("'", "\\(aq")
    return f"\\&{plain}" if plain.startswith(".") else plain


def inline(text: str) -> str:
    """Write a line; what stands between backticks is bold."""
    pieces = CODE.split(text)
    written = (
        f"\\fB{escape(piece)}\\fR" if number % 2 else escape(piece)
        for number, piece in enumerate(pieces)
    )
    line = "".join(written)
    return f"\\&{line}" if line.startswith((".", "'")) else line


def page(name: str, section: int, release: str, manual: str, parts: Iterable[str]) -> str:
    """Put a page together; it has no date, so that it is the same whenever it is made."""
    top = f'.TH "{escape(name.upper())}" {section} "" "{escape(release)}" "{escape(manual)}"'
    return "\n".join((top, *(part for part in parts if part), ""))


def heading(title: str, *blocks: str) -> str:
    """Write a section with what it holds; nothing if it holds nothing."""
    return "\n".join((f'.SH "{escape(title)}"', *blocks)) if any(blocks) else ""


def subheading(title: str, *blocks: str) -> str:
    """Write a section of a section."""
    return "\n".join((f'.SS "{escape(title)}"', *blocks))


def name_line(name: str, summary: str) -> str:
    """Write what apropos(1) reads. Source: lexgrog(1)."""
    return f"{escape(name)} \\- {inline(summary)}"


def paragraphs(text: str) -> str:
    """Write paragraphs; one that begins with Click's mark keeps its lines."""
    blocks = (block for block in PARAGRAPH.split(text.strip()) if block.strip())
    return "\n".join(_paragraph(block) for block in blocks)


def _paragraph(block: str) -> str:
    if not block.startswith(AS_IT_STANDS):
        return f".PP\n{inline(' '.join(block.split()))}"
    lines = block.removeprefix(AS_IT_STANDS).splitlines()
    return "\n".join((".PP", ".nf", *(inline(line.strip()) for line in lines), ".fi"))


def example(text: str) -> str:
    """Write lines as they stand, indented."""
    lines = (f"\\&{escape(line)}" for line in text.rstrip("\n").splitlines())
    return "\n".join((".PP", ".RS 4", ".nf", *lines, ".fi", ".RE"))


def terms(pairs: Sequence[tuple[str, str]]) -> str:
    """Write a list of terms, each with what it means."""
    return "\n".join(f".TP\n\\fB{escape(term)}\\fR\n{inline(text)}" for term, text in pairs)
