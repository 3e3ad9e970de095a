"""What the menus do."""

from __future__ import annotations

from typing import TYPE_CHECKING

from .layers import why_not_scan
from .session import session_of

if TYPE_CHECKING:
    from napari.viewer import Viewer

PLUGIN = "napari-spacegroup"
MAP_DOCK = "Space-group map"
PATTERN_DOCK = "Pattern"
LIVE_DOCK = "Live"


def classify_layer(viewer: Viewer) -> None:
    """Open the dock *Space-group map* with the selected layer chosen."""
    viewer.window.add_plugin_dock_widget(PLUGIN, MAP_DOCK)
    active = viewer.layers.selection.active
    state = session_of(viewer).map_state
    if active is not None and any(c.key == active.name for c in state.layers):
        state.layer = active.name
        if why_not_scan(active):
            state.say(why_not_scan(active), is_alert=True)


def follow_scan(viewer: Viewer) -> None:
    """Open the dock *Live*."""
    viewer.window.add_plugin_dock_widget(PLUGIN, LIVE_DOCK)
