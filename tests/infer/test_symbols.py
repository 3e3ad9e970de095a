from __future__ import annotations

import matplotlib.mathtext
import pytest

from napari_spacegroup.crystal import LEVELS, level_names
from napari_spacegroup.infer import as_mathtext, as_unicode


@pytest.mark.parametrize(
    ("symbol", "number", "mathtext", "text"),
    [
        ("Fm-3m", 225, r"$Fm\bar{3}m$", "Fm3\u0305m"),
        ("Ia-3d", 230, r"$Ia\bar{3}d$", "Ia3\u0305d"),
        ("P21/c", 14, r"$P2_{1}/c$", "P2₁/c"),
        ("P212121", 19, r"$P2_{1}2_{1}2_{1}$", "P2₁2₁2₁"),
        ("P312", 149, r"$P312$", "P312"),  # axes 3, 1, 2 ...
        ("P3112", 151, r"$P3_{1}12$", "P3₁12"),  # ... and a screw axis
        ("P63/mmc", 194, r"$P6_{3}/mmc$", "P6₃/mmc"),
        ("P43212", 96, r"$P4_{3}2_{1}2$", "P4₃2₁2"),
        ("P-1", 2, r"$P\bar{1}$", "P1\u0305"),
        ("m-3m", None, r"$m\bar{3}m$", "m3\u0305m"),
        ("32", None, "$32$", "32"),
        ("cF", None, "$cF$", "cF"),
        ("mmm", None, "$mmm$", "mmm"),
        ("trigonal", None, "trigonal", "trigonal"),
        ("m-3m F 41 - -", None, r"$m\bar{3}m\;F4_{1}{-}{-}$", "m3\u0305m F4₁--"),
    ],
)
def test_symbols(symbol, number, mathtext, text):
    assert as_mathtext(symbol, number) == mathtext
    assert as_unicode(symbol, number) == text


def test_matplotlib_can_draw_symbols_of_every_kind():
    parser = matplotlib.mathtext.MathTextParser("path")
    for level in LEVELS:
        names = level_names(level)
        for number in range(1, len(names) + 1, 1 + len(names) // 15):
            text = as_mathtext(names[number - 1], number if level == "space_group" else None)
            if text.startswith("$"):
                parser.parse(text)


def test_every_screw_axis_of_the_tables_is_a_subscript():
    texts = [as_unicode(n, i) for i, n in enumerate(level_names("space_group"), start=1)]
    assert len(set(texts)) == 230
    digits = [text for text in texts if "-" in text]
    assert digits == []
