"""Write peak lists of pymatgen for test_powder_lines.py.

    python tests/physics/make_powder_reference.py tests/data/powder_pymatgen.json

In an environment of its own, with pymatgen installed; it is no dependency of the tests.
"""

import json
import sys
from importlib.metadata import version
from pathlib import Path

CASES = {
    "NaCl": (225, (5.6402,) * 3 + (90,) * 3, [("Na", 0, 0, 0), ("Cl", 0.5, 0.5, 0.5)]),
    "quartz": (
        154,
        (4.9137, 4.9137, 5.4047, 90, 90, 120),
        [("Si", 0.4697, 0, 0), ("O", 0.4135, 0.2669, 0.1191)],
    ),
    "rutile": (
        136,
        (4.5937, 4.5937, 2.9587, 90, 90, 90),
        [("Ti", 0, 0, 0), ("O", 0.3053, 0.3053, 0)],
    ),
    "olivine": (
        62,
        (10.190, 5.978, 4.756, 90, 90, 90),
        [
            ("Mg", 0, 0, 0),
            ("Mg", 0.2774, 0.25, 0.9915),
            ("Si", 0.094, 0.25, 0.4262),
            ("O", 0.0913, 0.25, 0.7657),
            ("O", 0.4474, 0.25, 0.2215),
            ("O", 0.1628, 0.0331, 0.2777),
        ],
    ),
    "gypsum-like": (
        15,
        (5.679, 15.202, 6.522, 90, 118.43, 90),
        [
            ("Ca", 0.5, 0.0797, 0.25),
            ("S", 0, 0.0773, 0.75),
            ("O", 0.9632, 0.1319, 0.5505),
            ("O", 0.7582, 0.0223, 0.6671),
            ("O", 0.3796, 0.1821, 0.4588),
        ],
    ),
    "albite-like": (
        2,
        (8.142, 12.785, 7.159, 94.19, 116.61, 87.68),
        [
            ("Na", 0.268, 0.989, 0.146),
            ("Al", 0.009, 0.169, 0.208),
            ("Si", 0.004, 0.82, 0.237),
            ("O", 0.005, 0.131, 0.967),
            ("O", 0.593, 0.997, 0.281),
        ],
    ),
    "corundum": (
        167,
        (4.7589, 4.7589, 12.9919, 90, 90, 120),
        [("Al", 0, 0, 0.3522), ("O", 0.3062, 0, 0.25)],
    ),
}


def main() -> None:
    """Ask pymatgen, and store what it says."""
    from pymatgen.analysis.diffraction.neutron import ATOMIC_SCATTERING_LEN, NDCalculator
    from pymatgen.analysis.diffraction.xrd import ATOMIC_SCATTERING_PARAMS, XRDCalculator
    from pymatgen.core import Lattice, Structure

    out = {
        "provenance": {
            "program": "pymatgen",
            "version": version("pymatgen"),
            "calls": "XRDCalculator(wavelength=1.5406).get_pattern(structure, scaled=False, "
            "two_theta_range=(5, 60)); NDCalculator likewise",
            "made_by": "tests/physics/make_powder_reference.py",
        },
        "wavelength": 1.5406,
        "cases": {},
    }
    for name, (sg, cell, sites) in CASES.items():
        s = Structure.from_spacegroup(
            sg if sg != 225 else "Fm-3m",
            Lattice.from_parameters(*cell),
            [x[0] for x in sites],
            [x[1:] for x in sites],
        )
        case = {
            "space_group": sg,
            "lattice": cell,
            "sites": sites,
            "atoms": len(s),
            "form_factors": {},
            "lengths": {},
        }
        for el in sorted({x[0] for x in sites}):
            case["form_factors"][el] = ATOMIC_SCATTERING_PARAMS[el]
            case["lengths"][el] = ATOMIC_SCATTERING_LEN[el]
        for key, calc in (
            ("xray", XRDCalculator(wavelength=1.5406)),
            ("neutron", NDCalculator(wavelength=1.5406)),
        ):
            p = calc.get_pattern(s, scaled=False, two_theta_range=(5, 60))
            case[key] = {
                "two_theta": [round(float(x), 6) for x in p.x],
                "intensity": [float(f"{y:.8g}") for y in p.y],
            }
        out["cases"][name] = case
    Path(sys.argv[1]).write_text(json.dumps(out), encoding="utf-8")
    print({k: (c["atoms"], len(c["xray"]["two_theta"])) for k, c in out["cases"].items()})


if __name__ == "__main__":
    main()
