"""Bring the top-level ``napari.yaml`` to where npe2 looks for it: beside the package.

A wheel gets a copy. An editable install runs from ``src``, so there the file is linked
into the package folder, which keeps later edits visible; where the file system refuses
symbolic links (Windows without developer mode) it is copied, and installing again
refreshes it. The link is not tracked by git.
"""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface

MANIFEST = "napari.yaml"
PACKAGE = "napari_spacegroup"


class ManifestHook(BuildHookInterface[Any]):
    """Place the napari manifest in wheels and in editable installs."""

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """Place the manifest; ``version`` is ``"standard"`` or ``"editable"``."""
        if version == "editable":
            link_manifest(Path(self.root))
        else:
            build_data["force_include"][MANIFEST] = f"{PACKAGE}/{MANIFEST}"


def link_manifest(root: Path) -> Path:
    """Link, or failing that copy, the manifest into the package folder of a checkout."""
    target = root / "src" / PACKAGE / MANIFEST
    target.unlink(missing_ok=True)
    try:
        target.symlink_to(Path("..") / ".." / MANIFEST)
    except OSError:
        shutil.copyfile(root / MANIFEST, target)
    return target
