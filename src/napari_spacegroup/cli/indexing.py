"""The verb ``index`` on the command line: the cells that explain a powder profile."""

from __future__ import annotations

import argparse

from .shown import check_output, say, write_json
from .verbs import EXIT_OK, opened

MOST_SHOWN = 5


def index(options: argparse.Namespace) -> int:
    """Look for the cell of a profile, and say what its lines leave of the space groups."""
    if options.json is not None:
        check_output(options.json)
    from ..crystal.levels import level_name
    from ..workflows.index_profile import index_scan

    found = index_scan(opened(options.scan, options), tuple(options.pixel))
    report = found.to_dict()
    if options.json is not None:
        write_json(options.json, report)
    if found.is_assumed:
        say(f"The wavelength is not given; Cu Kα ({found.axis.wavelength:g} Å) is assumed")
    print(f"{report['peaks']} peaks, the first {report['used']} of them indexed")
    if not report["cells"]:
        print("no cell explains them: low symmetry, a mixture, or too few lines")
    for row in report["cells"][:MOST_SHOWN]:
        edges = " ".join(f"{value:.4g}" for value in row["parameters"])
        groups = " ".join(str(group) for group in row["space_groups"])
        print(f"{row['family']:<13} {edges:<42} {row['explained']:2d} lines, evidence "
              f"{row['evidence']:.1f}: {groups}")  # fmt: skip
    for row in report["space_groups"][:MOST_SHOWN]:
        symbol = level_name(row["space_group"], "space_group")
        print(f"{row['probability']:7.1%}  {row['space_group']:3d}  {symbol}")
    return EXIT_OK
