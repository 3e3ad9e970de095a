"""After `make demo`: where there is a display and a person, offer to open napari."""

from __future__ import annotations

import os
import sys

SAMPLE = ("napari-spacegroup", "nickel")
DOCKS = ("Space-group map", "Pattern")


def has_display() -> bool:
    """Return whether a window can be opened."""
    if sys.platform in ("win32", "darwin"):
        return True
    return bool(os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY"))


def main() -> None:
    """Ask, and open the sample with both docks on a yes."""
    if not (has_display() and sys.stdin.isatty() and sys.stdout.isatty()):
        return
    try:
        answer = input("Open the scan in napari? [y/N] ")
    except (EOFError, KeyboardInterrupt):
        return
    if not answer.strip().lower().startswith("y"):
        return
    import napari

    viewer = napari.Viewer()
    viewer.open_sample(*SAMPLE)
    for dock in DOCKS:
        viewer.window.add_plugin_dock_widget(SAMPLE[0], dock)
    napari.run()


if __name__ == "__main__":
    main()
