"""Colours of the docks, taken from the viewer's theme so that dark and light both read well."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from qtpy.QtGui import QColor

if TYPE_CHECKING:
    from napari.viewer import Viewer


@dataclass(frozen=True)
class Colors:
    """What the docks paint with."""

    background: QColor
    panel: QColor
    border: QColor
    text: QColor
    faint: QColor
    accent: QColor
    accent_text: QColor
    alert: QColor


def theme_colors(viewer: Viewer) -> Colors:
    """Return the colours of the viewer's theme."""
    from napari.utils.theme import get_theme

    theme = get_theme(viewer.theme)
    named = {
        name: QColor(*getattr(theme, name).as_rgb_tuple()[:3])
        for name in ("background", "foreground", "primary", "text", "current")
    }
    is_dark = theme.type == "dark"
    return Colors(
        background=named["background"],
        panel=named["foreground"],
        border=named["primary"],
        text=named["text"],
        faint=mix(named["text"], named["background"], 0.35),
        accent=named["current"],
        accent_text=QColor("white") if is_dark else QColor(20, 20, 30),
        alert=QColor(255, 176, 88) if is_dark else QColor(160, 60, 0),
    )


def mix(one: QColor, other: QColor, share: float) -> QColor:
    """Return a colour on the way from one to the other."""
    parts = zip(one.getRgb()[:3], other.getRgb()[:3], strict=True)
    return QColor(*(round((1 - share) * a + share * b) for a, b in parts))


def readable(color: QColor, colors: Colors, least: float = 3.0) -> QColor:
    """Return a colour mixed with that of the text until thin lines of it can be seen.

    Parameters
    ----------
    color
        Of a class in the map.
    colors
        Of the theme.
    least
        Contrast with the background, as WCAG 2.1 defines it; 3 is what it asks of lines.
    """
    shares = (color, *(mix(color, colors.text, share) for share in (0.2, 0.4, 0.6, 0.8)))
    return next((c for c in shares if contrast(c, colors.background) >= least), colors.text)


def contrast(one: QColor, other: QColor) -> float:
    """Return the contrast ratio of two colours by WCAG 2.1, from 1 to 21."""
    light, dark = sorted((_luminance(one), _luminance(other)), reverse=True)
    return (light + 0.05) / (dark + 0.05)


def _luminance(color: QColor) -> float:
    parts = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4
             for c in color.getRgbF()[:3]]  # fmt: skip
    return float(0.2126 * parts[0] + 0.7152 * parts[1] + 0.0722 * parts[2])


def style_sheet(colors: Colors) -> str:
    """Return the style of what napari's own sheet leaves plain."""
    return f"""
    QLabel#hint {{ color: {colors.faint.name()}; padding: 0px; margin: 0px; }}
    QLabel#note {{ color: {colors.text.name()}; padding: 0px; margin: 0px; }}
    QLabel#alert {{ color: {colors.alert.name()}; }}
    QLabel#title {{ font-weight: 600; }}
    QPushButton#main {{
        background-color: {colors.accent.name()}; color: {colors.accent_text.name()};
        font-weight: 600; padding: 6px 12px; border-radius: 3px;
    }}
    QPushButton#main:hover {{ background-color: {colors.accent.lighter(112).name()}; }}
    QPushButton#main:pressed {{ background-color: {colors.accent.darker(112).name()}; }}
    QPushButton#main:disabled {{
        background-color: {colors.panel.name()}; color: {colors.faint.name()};
    }}
    QFrame#empty {{
        border: 1px dashed {colors.border.name()}; border-radius: 4px;
    }}
    QTableWidget {{ background: transparent; border: none; gridline-color: transparent; }}
    QTableWidget::item {{ padding: 1px 4px; border: none; }}
    QTableWidget::indicator {{
        width: 11px; height: 11px; border-radius: 2px; image: none;
        border: 1px solid {colors.faint.name()}; background: transparent;
    }}
    QTableWidget::indicator:checked {{
        background: {colors.accent.name()}; border-color: {colors.accent.name()};
    }}
    QHeaderView::section {{
        background: transparent; color: {colors.faint.name()}; border: none;
        border-bottom: 1px solid {colors.border.name()}; padding: 2px 4px; font-weight: 400;
    }}
    QPushButton#fold {{
        background: transparent; color: {colors.faint.name()}; text-align: left;
        border: none; padding: 2px 0px;
    }}
    QPushButton#fold:hover {{ color: {colors.text.name()}; }}
    QScrollArea {{ border: none; }}
    """
