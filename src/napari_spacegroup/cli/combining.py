"""The verb ``combine`` on the command line."""

from __future__ import annotations

import argparse

from .calibrating import asked_calibration
from .shown import check_output, write_json
from .verbs import EXIT_OK, given

MOST_SHOWN = 5


def combine(options: argparse.Namespace) -> int:
    """Join the evidence of several patterns of one crystal, and say where to look next."""
    from ..config import CombineSpec

    reach = {}
    if options.reach is not None:
        reach = {"alpha_range": (-options.reach, options.reach),
                 "beta_range": (-options.reach, options.reach)}  # fmt: skip
    holder = given(alpha=options.alpha, beta=options.beta, axis=options.holder_axis) | reach
    asked = given(model=options.model, method=options.method, device=options.device)
    spec = CombineSpec.from_mapping(asked | {"holder": holder}, "the command line")
    calibration = asked_calibration(options)
    if options.json is not None:
        check_output(options.json)
    from ..crystal.levels import level_name
    from ..workflows.combine_patterns import combine as combine_patterns

    found = combine_patterns(
        options.patterns, spec.model, method=spec.method, independence=spec.independence,
        error_share=spec.error_share, holder=spec.holder, axes=spec.axes, device=spec.device,
        calibration=calibration,
    )  # fmt: skip
    report = found.to_dict()
    if options.json is not None:
        write_json(options.json, report)
    for row in report["patterns"]:
        lattice = "" if row["is_indexed"] else ", no cubic lattice found"
        print(f"{row['name']}: {row['space_group']} with {row['probability']:.0%}{lattice}; "
              f"so far {row['joint']} with {row['joint_probability']:.0%}")  # fmt: skip
    for row in report["space_groups"][:MOST_SHOWN]:
        symbol = level_name(row["space_group"], "space_group")
        print(f"{row['probability']:7.1%}  {row['space_group']:3d}  {symbol}")
    for row in report["next"][:MOST_SHOWN]:
        axis = "[" + " ".join(str(x) for x in row["axis"]) + "]"
        words = f"next: {axis}, {row['gain_bits']:.2f} bit"
        if row["alpha"] is not None:
            words += f", alpha {row['alpha']:.1f}, beta {row['beta']:.1f} degrees"
            turned = row["alpha_beta_if_turned"]
            if turned is not None:
                words += f" (or {turned[0]:.1f}, {turned[1]:.1f} by the 180 degree ambiguity)"
        elif row["angle"] is not None:
            words += f", out of the holder's reach ({row['angle']:.1f} degrees away)"
        print(words)
    return EXIT_OK
