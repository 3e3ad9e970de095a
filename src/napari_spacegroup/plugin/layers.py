"""What the layers of this plugin contain: builders and validators of a written contract.

``docs/layers.md`` is the contract. Three kinds of layer share one coordinate frame, the
scan's: the *navigation image* (with the lazy stack of patterns behind it), the *map* and
its *confidence*. Other plugins may read them through the keys below.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from numpy.typing import NDArray

from ..errors import ScanError
from ..infer import SpaceGroupMap
from ..patterns import PatternScan
from ..patterns.convert import CALIBRATION_KEY, LAYER_KEY
from .describe import level_symbols

if TYPE_CHECKING:
    import napari.layers
    from napari.utils.colormaps import DirectLabelColormap

    from ..config import CalibrationSpec

SCAN_KEY = LAYER_KEY
MAP_KEY = "napari_spacegroup_map"
VIEW_KEY = "napari_spacegroup_view"

AXIS_LABELS = ("scan_y", "scan_x")
_UNITS = {"": "pixel", "px": "pixel", "µm": "um", "μm": "um", "micron": "um", "Å": "angstrom"}

LayerData = tuple[Any, dict[str, Any], str]


@dataclass(frozen=True)
class LayerFrame:
    """Where the pixels of a scan lie in the world of the viewer.

    Attributes
    ----------
    scale, translate
        Step and first pixel along ``(scan_y, scan_x)``, in units.
    units
        One name of a unit per axis, as napari (pint) understands it.
    """

    scale: tuple[float, float] = (1.0, 1.0)
    translate: tuple[float, float] = (0.0, 0.0)
    units: tuple[str, str] = ("pixel", "pixel")

    @classmethod
    def of_scan(cls, scan: PatternScan) -> LayerFrame:
        """Return the frame that a scan's own step and unit give; pixels where it has none."""
        return cls.of_step(scan.step, scan.step_unit)

    @classmethod
    def of_step(cls, step: tuple[float, float] | None, unit: str) -> LayerFrame:
        """Return the frame of a step along ``(scan_y, scan_x)`` in a unit."""
        if step is None or not all(np.isfinite(s) and s > 0 for s in step):
            return cls()
        name = unit_name(unit)
        return cls((float(step[0]), float(step[1])), (0.0, 0.0), (name, name))

    @classmethod
    def of_map(cls, result: SpaceGroupMap) -> LayerFrame:
        """Return the frame that a saved map remembers of its scan."""
        return cls.of_step(result.step, result.step_unit)

    @classmethod
    def of_layer(cls, layer: napari.layers.Layer) -> LayerFrame:
        """Return the frame of the scan axes of a layer.

        They are its first two axes where it is a four-dimensional stack, its own two where it
        is two-dimensional; the one of a stack of three dimensions is ``scan_x``.
        """
        scale, translate, units = list(layer.scale), list(layer.translate), list(layer.units)
        if layer.ndim == 3:
            scale, translate, units = [scale[0]] * 2, [0.0, translate[0]], [units[0]] * 2
        names = tuple(str(u) for u in units[:2])
        return cls(
            (float(scale[0]), float(scale[1])),
            (float(translate[0]), float(translate[1])),
            (names[0], names[1]),
        )

    def keywords(self) -> dict[str, Any]:
        """Return the keyword arguments that put a layer into this frame."""
        return {
            "scale": self.scale,
            "translate": self.translate,
            "units": self.units,
            "axis_labels": AXIS_LABELS,
        }


@dataclass(frozen=True)
class MapView:
    """How a map layer shows its result.

    Attributes
    ----------
    kind
        ``"labels"`` or ``"confidence"``.
    level
        Symmetry level.
    threshold
        Least confidence for which a pixel is named.
    source
        Name of the layer that was classified.
    """

    kind: Literal["labels", "confidence"] = "labels"
    level: str = "space_group"
    threshold: float = 0.0
    source: str = ""


def unit_name(unit: str) -> str:
    """Return a unit as napari understands it, ``"pixel"`` for one that it does not know."""
    import pint

    name = _UNITS.get(unit.strip(), unit.strip())
    try:
        pint.get_application_registry().Unit(name)
    except (pint.UndefinedUnitError, ValueError, TypeError):
        return "pixel"
    return name


def navigation_layer(scan: PatternScan, image: NDArray[np.float32]) -> LayerData:
    """Return the layer that a scan opens as.

    Parameters
    ----------
    scan
        The lazy stack, kept in the metadata under :data:`SCAN_KEY`.
    image
        Shape ``scan.scan_shape``: mean intensity of each pattern.
    """
    keywords: dict[str, Any] = {
        "name": scan.name,
        "metadata": {SCAN_KEY: scan},
        "colormap": "gray",
        "interpolation2d": "nearest",
        **LayerFrame.of_scan(scan).keywords(),
    }
    finite = image[np.isfinite(image)]
    low, high = (float(finite.min()), float(finite.max())) if finite.size else (0.0, 1.0)
    keywords["contrast_limits"] = (low, high if high > low else low + 1.0)
    return image, keywords, "image"


def scan_of(layer: napari.layers.Layer) -> PatternScan:
    """Return the scan behind a layer, whoever opened it.

    Raises
    ------
    ScanError
        If the layer is no stack of patterns; :func:`why_not_scan` says the same in advance.
    """
    scan = layer.metadata.get(SCAN_KEY)
    if isinstance(scan, PatternScan):
        return scan
    problem = why_not_scan(layer)
    if problem:
        raise ScanError(problem)
    return PatternScan.from_array(layer)


def set_calibration(layer: napari.layers.Layer, calibration: CalibrationSpec | None) -> None:
    """Give the patterns behind a layer another calibration; None for none."""
    scan = layer.metadata.get(SCAN_KEY)
    kept = {key: value for key, value in layer.metadata.items() if key != CALIBRATION_KEY}
    if isinstance(scan, PatternScan):
        layer.metadata = {**kept, SCAN_KEY: replace(scan, calibration=calibration)}
    else:
        layer.metadata = kept if calibration is None else {**kept, CALIBRATION_KEY: calibration}


def why_not_scan(layer: napari.layers.Layer) -> str:
    """Return why a layer can't be classified; empty if it can."""
    if isinstance(layer.metadata.get(SCAN_KEY), PatternScan):
        return ""
    if getattr(layer, "multiscale", False):
        return f"“{layer.name}” is multiscale: open the full-resolution stack alone."
    if getattr(layer, "rgb", False):
        return f"“{layer.name}” is a colour image: patterns have one channel."
    if layer.ndim < 3:
        return (
            f"“{layer.name}” is one image of {layer.ndim} dimensions: patterns need a stack "
            "(scan_y, scan_x, rows, columns)."
        )
    if layer.ndim > 4:
        return f"“{layer.name}” has {layer.ndim} dimensions: a scan has three or four."
    if min(layer.data.shape[-2:]) < 8:
        return f"“{layer.name}” has patterns of {_times(layer.data.shape[-2:])}: too small."
    return ""


def is_raw_stack(layer: napari.layers.Layer) -> bool:
    """Return whether a layer shows patterns rather than scan pixels."""
    return SCAN_KEY not in layer.metadata and MAP_KEY not in layer.metadata and layer.ndim > 2


def map_of(layer: napari.layers.Layer) -> SpaceGroupMap | None:
    """Return the result behind a map or confidence layer, or None."""
    result = layer.metadata.get(MAP_KEY)
    return result if isinstance(result, SpaceGroupMap) else None


def validate_scan_layer(layer: napari.layers.Layer) -> list[str]:
    """Return what keeps a layer from being a navigation image; empty if nothing does."""
    scan = layer.metadata.get(SCAN_KEY)
    if not isinstance(scan, PatternScan):
        return [f"metadata[{SCAN_KEY!r}] is {type(scan).__name__}: need a PatternScan"]
    return _frame_problems(layer, scan.scan_shape)


def validate_map_layer(layer: napari.layers.Layer) -> list[str]:
    """Return what keeps a layer from being a map or confidence layer; empty if nothing does."""
    result = map_of(layer)
    if result is None:
        found = type(layer.metadata.get(MAP_KEY)).__name__
        return [f"metadata[{MAP_KEY!r}] is {found}: need a SpaceGroupMap"]
    view = layer.metadata.get(VIEW_KEY)
    if not isinstance(view, MapView):
        return [f"metadata[{VIEW_KEY!r}] is {type(view).__name__}: need a MapView"]
    problems = _frame_problems(layer, result.scan_shape)
    if view.kind == "labels" and not problems:
        known = {0, *result.level_classes(view.level)}
        strange = sorted(set(np.unique(layer.data).tolist()) - known)
        if strange:
            problems.append(f"labels {strange} are no {view.level} of this map")
        if "symbol" not in layer.features.columns:
            problems.append("features lack the column 'symbol'")
    return problems


def _frame_problems(layer: napari.layers.Layer, shape: Sequence[int]) -> list[str]:
    if layer.ndim != 2:
        return [f"the layer has {layer.ndim} dimensions: need (scan_y, scan_x)"]
    problems = []
    if tuple(layer.data.shape) != tuple(shape):
        problems.append(f"the data is {_times(layer.data.shape)}, the scan {_times(shape)}")
    if tuple(layer.axis_labels) != AXIS_LABELS:
        problems.append(f"axis_labels are {layer.axis_labels}: need {AXIS_LABELS}")
    return problems


def map_layer(
    result: SpaceGroupMap, view: MapView, frame: LayerFrame, labels: NDArray[np.int16], name: str
) -> LayerData:
    """Return the Labels layer of a map; 0 is unknown, other values index the level's classes.

    Parameters
    ----------
    labels
        Shape of the scan: ``result.labels(view.level, threshold=view.threshold)``.
    """
    keywords: dict[str, Any] = {
        "name": name,
        "metadata": {MAP_KEY: result, VIEW_KEY: view},
        "opacity": 1.0,
        "colormap": level_colormap(result, view.level),
        "features": level_features(result, view.level),
        **frame.keywords(),
    }
    return labels, keywords, "labels"


def confidence_layer(
    result: SpaceGroupMap,
    view: MapView,
    frame: LayerFrame,
    confidence: NDArray[np.float32],
    name: str,
) -> LayerData:
    """Return the image of each pixel's confidence, from 0 to 1; hidden at first."""
    keywords: dict[str, Any] = {
        "name": name,
        "metadata": {MAP_KEY: result, VIEW_KEY: view},
        "colormap": "viridis",
        "contrast_limits": (0.0, 1.0),
        "interpolation2d": "nearest",
        "visible": False,
        **frame.keywords(),
    }
    return confidence, keywords, "image"


@lru_cache(maxsize=16)
def warm_up(classes: tuple[int, ...], level: str) -> None:
    """Do what the first map of a process needs; to be called off the main thread.

    At the first Labels layer napari compiles its lookup of colours, 3 s on one core, and the
    colours of a level are chosen, 0.3 s. On the main thread both would hold the window just
    when a scan begins.
    """
    from napari.layers import Labels

    result = SpaceGroupMap.empty((2, 2), classes)
    data, keywords, _ = map_layer(
        result, MapView("labels", level), LayerFrame(), result.labels(level), "warm-up"
    )
    Labels(data, **keywords)
    result.legend(level)


def level_colormap(result: SpaceGroupMap, level: str) -> DirectLabelColormap:
    """Return the colours of a level's classes; unknown pixels are transparent."""
    from napari.utils.colormaps import DirectLabelColormap

    from ..infer import color

    colors: dict[int | None, Any] = {None: np.array([0.0, 0.0, 0.0, 0.0])}
    colors[0] = np.array([0.0, 0.0, 0.0, 0.0])
    for label in result.level_classes(level):
        colors[int(label)] = np.array(color(level, int(label)))
    return DirectLabelColormap(color_dict=colors)


def level_features(result: SpaceGroupMap, level: str) -> dict[str, list[Any]]:
    """Return one row per label: index, symbol; napari's own hover shows them too."""
    names = level_symbols(level)
    labels = [int(label) for label in result.level_classes(level)]
    return {
        "index": [0, *labels],
        "symbol": ["unknown", *(names[label - 1] for label in labels)],
    }


def _times(shape: Sequence[int]) -> str:
    return " × ".join(str(n) for n in shape)
