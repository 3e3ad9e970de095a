"""Maps for other programs."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from ..crystal.levels import level_name
from ..errors import MissingPartError, SpecError
from .colors import hex_color, perceived

if TYPE_CHECKING:
    from orix.crystal_map import CrystalMap

    from .spacegroup_map import SpaceGroupMap

NOT_INDEXED = -1


def to_crystal_map(result: SpaceGroupMap, level: str, threshold: float) -> CrystalMap:
    """Return an orix ``CrystalMap`` with one phase per space group.

    Orientations are not known: every rotation is the identity. orix can write the map as
    ``.ang`` or ``.h5``.

    Parameters
    ----------
    result
        The map.
    level
        Must be ``"space_group"``: an orix phase is one.
    threshold
        Least confidence of a pixel; one below it is not indexed.

    Returns
    -------
    crystal_map
        Phase ids are space-group numbers, -1 where a pixel is unknown; its properties are
        ``confidence``, ``entropy``, ``runner_up`` and ``status``. Coordinates are in the
        map's unit, in pixels where nobody knows the step.

    Raises
    ------
    MissingPartError
        If orix is not installed.
    SpecError
        For another level.
    """
    if level != "space_group":
        raise SpecError(f"level is {level!r}; phases of a CrystalMap are at level 'space_group'")
    try:
        from orix.crystal_map import CrystalMap, Phase, PhaseList
        from orix.quaternion import Rotation
    except ImportError as error:
        raise MissingPartError(
            f"a CrystalMap needs orix, which can't be imported ({error}): pip install orix"
        ) from error
    labels = result.labels(level, threshold=threshold)
    phases = {
        int(label): Phase(
            name=level_name(int(label), "space_group"),
            space_group=int(label),
            color=_named_color(hex_color(level, int(label))),
        )
        for label in np.unique(labels[labels > 0])
    }
    rows, columns = result.scan_shape
    step_y, step_x = result.step or (1.0, 1.0)
    y, x = np.indices((rows, columns))
    return CrystalMap(
        rotations=Rotation.identity((rows * columns,)),
        phase_id=np.where(labels > 0, labels, NOT_INDEXED).ravel().astype(int),
        x=x.ravel() * step_x,
        y=y.ravel() * step_y,
        phase_list=PhaseList(phases) if phases else None,
        scan_unit=result.step_unit if result.step and result.step_unit else "px",
        prop={
            "confidence": result.confidence(level).ravel(),
            "entropy": result.entropy(level).ravel(),
            "runner_up": result.runner_up(level).ravel(),
            "status": result.status.ravel().copy(),
        },
    )


def _named_color(hex_value: str) -> str:
    """Return the named colour of matplotlib next to a colour: orix takes no others."""
    from matplotlib.colors import XKCD_COLORS, to_rgb

    wanted = np.array(to_rgb(hex_value))
    names = list(XKCD_COLORS)
    seen = perceived(np.array([to_rgb(XKCD_COLORS[name]) for name in names]))[0]
    gap = np.linalg.norm(seen - perceived(wanted[None])[0], axis=1)
    return names[int(np.argmin(gap))]
