"""Master patterns and the EBSD patterns drawn from them; reflections and spot patterns.

Names are loaded when they are first used: the projector and the detector need torch and
numpy alone, the simulators bring diffsims, kikuchipy or de-ebsd.
"""

from __future__ import annotations

from importlib import import_module
from typing import Any

_NAMES = {
    "Beam": "spots",
    "BlochBeams": "bloch",
    "CrystalPotential": "bloch",
    "CrystalRecord": "reflections",
    "DynamicalSpec": "spec",
    "KinematicSpec": "spec",
    "MasterCache": "cache",
    "MasterFailed": "many",
    "MasterPattern": "masters",
    "MasterReady": "many",
    "MasterSpec": "spec",
    "ReflectionBatch": "spots",
    "ReflectionSet": "reflections",
    "Reflections": "reflections",
    "SpotAppearance": "spot_images",
    "SpotCamera": "spot_images",
    "Spots": "spots",
    "camera_constant": "spot_images",
    "draw_spots": "spot_images",
    "electron_wavelength": "spots",
    "excite": "spots",
    "bunge_angles": "single",
    "bunge_quaternion": "single",
    "cache_folder": "cache",
    "crystal_potential": "bloch",
    "correlation": "single",
    "draw_ebsd": "single",
    "find_orientation": "orient",
    "from_kikuchipy": "emsoft",
    "lambert_directions": "lambert",
    "master_key": "cache",
    "master_spec": "spec",
    "read_master": "emsoft",
    "simulate_beams": "bloch",
    "simulate_dynamical": "dynamical",
    "simulate_kinematic": "kinematic",
    "simulate_many": "many",
    "simulate_master": "masters",
    "simulate_reflections": "reflections",
}

_MODULES = ("atoms", "bloch", "cache", "detector", "dynamical", "emsoft", "kinematic", "lambert",
            "many", "masters", "montecarlo", "orient", "projector", "reflections", "single",
            "spec", "spot_images", "spots", "thick_spots")  # fmt: skip

__all__ = sorted([*_NAMES, *_MODULES])


def __getattr__(name: str) -> Any:
    if name in _NAMES:
        value = getattr(import_module(f".{_NAMES[name]}", __name__), name)
    elif name in _MODULES:
        value = import_module(f".{name}", __name__)
    else:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return list(__all__)
