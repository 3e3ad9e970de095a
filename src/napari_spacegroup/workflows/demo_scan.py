"""``demo``: a measured scan that everybody has, through the whole chain."""

from __future__ import annotations

from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path

from ..errors import MissingPartError, ResultError
from ..infer.classifier import Classifier
from ..infer.figure import draw_map
from ..infer.report import save_report
from ..infer.spacegroup_map import SpaceGroupMap
from ..jobs import Event
from ..patterns.read import read
from .classify_scan import classify

DEMO_MODEL = "ebsd-cubic"
_SCAN = Path("data", "kikuchipy_h5ebsd", "patterns.h5")


def demo(
    out: str | Path,
    *,
    model: Classifier | str | Path = DEMO_MODEL,
    on_event: Callable[[Event], None] | None = None,
) -> SpaceGroupMap:
    """Classify the measured nickel scan that kikuchipy ships, and show the outcome.

    Writes ``map.h5``, ``map.png`` and ``report.json``. Needs neither network nor display.

    Parameters
    ----------
    out
        Folder to write to; made if it does not exist.
    model
        Another model than the bundled one.
    on_event
        As for :func:`classify`.

    Returns
    -------
    result
        The map: 3 by 3 pixels of nickel, space group 225.

    Raises
    ------
    MissingPartError
        If kikuchipy or its data are not installed.
    ModelError
        If the model is not at hand.
    ResultError
        If the folder can't be written to.
    """
    folder = Path(out)
    scan = read(demo_scan_path())
    result = classify(scan, model, on_event=on_event)
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise ResultError(
            f"can't make the folder {folder} ({error.strerror}); give another one"
        ) from error
    result.save(folder / "map.h5")
    save_report(result, folder / "report.json")
    draw_map(result, scan, folder / "map.png")
    return result


def demo_scan_path() -> Path:
    """Return the path of the measured nickel scan in the installed kikuchipy.

    Nine patterns of 60 by 60 pixels, 20 kV, of recrystallized nickel.

    Raises
    ------
    MissingPartError
        If kikuchipy or the file is missing.

    References
    ----------
    Ånes et al. (2019), doi:10.5281/zenodo.3265037, CC BY 4.0.
    """
    spec = find_spec("kikuchipy")
    for folder in (spec.submodule_search_locations or ()) if spec is not None else ():
        path = Path(folder) / _SCAN
        if path.is_file():
            return path
    raise MissingPartError(
        "the demo needs the nickel scan in kikuchipy, which is not installed here whole: "
        "pip install kikuchipy"
    )
