# SPDX-License-Identifier: GPL-3.0-or-later
"""Which models fit a machine, as a table and as JSON."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any, Final

from gnoppix_build.catalog.fit import SHARE, SYSTEM_MEMORY, Fit, budget_of
from gnoppix_build.catalog.model import spell_size

_HEADINGS: Final = (
    *("model", "purpose", "licence", "tokens", "weights", "cache", "overhead", "sum", ""),
)
_GAP: Final = "  "


def fit_text(fits: Sequence[Fit], memory: int) -> str:
    """Give a line a model, with the sum of what it needs, and which to take."""
    rows = [_HEADINGS, *(_row(fit) for fit in fits)]
    widths = [max(len(row[column]) for row in rows) for column in range(len(_HEADINGS))]
    table = [_GAP.join(map(str.ljust, row, widths)).rstrip() for row in rows]
    chosen = [f"{fit.model.purpose}: {fit.name}" for fit in fits if fit.is_chosen]
    budget = (
        f"{spell_size(memory)} of memory, less {spell_size(SYSTEM_MEMORY)} for the system; models "
        f"may take {SHARE} % of the rest: {spell_size(budget_of(memory))}"
    )
    lines = (
        budget,
        "",
        *table,
        "",
        "the largest that fit: " + (", ".join(sorted(chosen)) or "none"),
        "`~`: the size of the file is an estimate; a profile has to tell it with the digest",
        "",
    )
    return "\n".join(lines)


def fit_document(fits: Sequence[Fit], memory: int) -> Mapping[str, Any]:
    """Give the same in bytes."""
    return {
        "memory": memory,
        "system": SYSTEM_MEMORY,
        "budget": budget_of(memory),
        "models": [
            {
                "name": fit.name,
                "purpose": fit.model.purpose,
                "licence": fit.model.licence,
                "context": fit.context,
                "is_verified": fit.model.is_verified,
                **asdict(fit.need),
                "total": fit.need.total,
                "fits": fit.fits,
                "is_chosen": fit.is_chosen,
            }
            for fit in fits
        ],
    }


def _row(fit: Fit) -> tuple[str, ...]:
    about = "" if fit.model.is_verified else "~"
    return (
        fit.name,
        fit.model.purpose,
        fit.model.licence,
        str(fit.context),
        about + spell_size(fit.need.weights),
        spell_size(fit.need.kv),
        spell_size(fit.need.overhead),
        about + spell_size(fit.need.total),
        "take it" if fit.is_chosen else "fits" if fit.fits else "too large",
    )
