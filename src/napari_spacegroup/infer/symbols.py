"""Symmetry symbols as they are printed: overbars and screw axes where they belong."""

from __future__ import annotations

import re

import gemmi

OVERBAR = "\N{COMBINING OVERLINE}"

_SCREW = re.compile(r"^(2|3|4|6)([1-5])(?=$|/)")
_BAR = re.compile(r"-([1-6])")


def tokens(symbol: str, space_group: int | None = None) -> list[str]:
    """Return the lattice letter and the axes of a symbol, one by one.

    Parameters
    ----------
    symbol
        A symbol with or without spaces between its axes.
    space_group
        Number; where it is given, the axes come from the tables, because a symbol without
        spaces (``P3112``) does not tell a screw axis from two axes.
    """
    if space_group is not None:
        known: str = gemmi.find_spacegroup_by_number(space_group).hm
        short = _short(known.split())
        if "".join(short) == symbol.replace(" ", "") or "".join(known.split()) == symbol:
            return short
    return symbol.split()


def as_mathtext(symbol: str, space_group: int | None = None) -> str:
    r"""Return a symbol as matplotlib mathtext.

    Parameters
    ----------
    symbol
        Hermann-Mauguin symbol of a group, or any other name of a symmetry class.
    space_group
        Its number where it is a space group.

    Examples
    --------
    >>> as_mathtext("Fm-3m", 225)
    '$Fm\\bar{3}m$'
    >>> as_mathtext("P 21/c", 14)
    '$P2_{1}/c$'
    >>> as_mathtext("m-3m F 41 - -")
    '$m\\bar{3}m\\;F4_{1}{-}{-}$'
    >>> as_mathtext("32"), as_mathtext("cubic")
    ('$32$', 'cubic')
    """
    if _is_word(symbol):
        return symbol
    first, *axes = tokens(symbol, space_group)
    if axes and not first.isupper():  # the Laue class in the name of an extinction group
        first += r"\;"
    parts = [first, *(_SCREW.sub(r"\1_{\2}", axis) for axis in axes)]
    body = _BAR.sub(r"\\bar{\1}", "".join(parts))
    return f"${body.replace('-', '{-}')}$"


def as_unicode(symbol: str, space_group: int | None = None) -> str:
    """Return a symbol as plain text with combining overbars and subscripts.

    Examples
    --------
    >>> as_unicode("Ia-3d", 230) == "Ia3" + OVERBAR + "d"
    True
    >>> as_unicode("P 21/c", 14)
    'P2₁/c'
    """
    if _is_word(symbol):
        return symbol
    first, *axes = tokens(symbol, space_group)
    if axes and not first.isupper():
        first += " "
    parts = [first, *(_SCREW.sub(lambda m: m[1] + chr(0x2080 + int(m[2])), a) for a in axes)]
    return _BAR.sub(lambda m: m[1] + OVERBAR, "".join(parts))


def _short(axes: list[str]) -> list[str]:
    """Leave out the placeholder axes of a monoclinic symbol: ``P 1 21/c 1`` is ``P 21/c``."""
    if len(axes) == 4 and axes[1] == axes[3] == "1" and axes[2] != "1":
        return [axes[0], axes[2]]
    return axes


def _is_word(symbol: str) -> bool:
    return re.fullmatch(r"[a-z]{3,}", symbol) is not None and symbol != "mmm"
