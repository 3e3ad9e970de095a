"""The command line: the verbs of the library, one message per error, honest exit statuses.

Results go to files and a short summary to stdout; progress and messages go to stderr.
The exit status is 0 when all is well, 2 for a request that can't be met (with what we got,
what is needed and what to do), and 1 when it was cancelled or something unforeseen broke.
An output appears whole or not at all.
"""

from __future__ import annotations

import argparse
import logging
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from .._version import __version__
from ..errors import CancelledError, SpaceGroupError
from . import combining, indexing, verbs
from .calibrating import add_calibration, add_find
from .phases import search_phases
from .shown import ProgressLine as _ProgressLine
from .shown import say
from .shown import write_json as _write_json

EXIT_BROKEN = 1
EXIT_REFUSED = 2

__all__ = ["_ProgressLine", "_write_json", "build_parser", "main"]


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line and return its exit status.

    Parameters
    ----------
    arguments
        Without the program's name; those of the process if not given.
    """
    options = build_parser().parse_args(arguments)
    level = (logging.WARNING, logging.INFO, logging.DEBUG)[min(options.verbose, 2)]
    logging.basicConfig(level=logging.WARNING, format="%(levelname)s %(name)s: %(message)s")
    logging.getLogger("napari_spacegroup").setLevel(level)
    for handler in logging.getLogger().handlers:
        # dask sets its own loggers to INFO; its chatter is not the user's.
        handler.addFilter(_is_ours_or_urgent)
    try:
        status: int = options.run(options)
    except (CancelledError, KeyboardInterrupt) as error:
        say(f"cancelled: {error}" if str(error) else "cancelled: nothing more was written")
        return EXIT_BROKEN
    except SpaceGroupError as error:
        say(f"error: {error}")
        return EXIT_REFUSED
    return status


def build_parser() -> argparse.ArgumentParser:
    """Return the parser of all verbs."""
    parser = argparse.ArgumentParser(
        prog="napari-spacegroup",
        description="Crystal symmetry of every pixel of a diffraction map, "
        "without being told which phases are there.",
    )
    parser.add_argument("--version", action="version", version=__version__)
    parser.add_argument(
        "-v", "--verbose", action="count", default=0, help="log more to stderr; twice for debug"
    )
    choices = parser.add_subparsers(title="verbs", metavar="VERB", required=True)

    verb = choices.add_parser("demo", help="classify the bundled nickel scan")
    verb.add_argument(
        "--out",
        type=Path,
        default=Path("demo-out"),
        metavar="DIR",
        help="folder for map.h5, map.png and report.json (default: demo-out)",
    )
    verb.set_defaults(run=verbs.demo)

    verb = choices.add_parser("classify", help="scan + model -> map of space groups")
    verb.add_argument("scan", type=Path, metavar="SCAN", help="a scan that kikuchipy reads")
    _add_model(verb)
    verb.add_argument("--out", type=Path, required=True, metavar="MAP.h5", help="the map")
    verb.add_argument("--json", type=Path, metavar="REPORT.json", help="shares per class")
    _add_running(verb)
    _add_view(verb)
    _add_profile(verb)
    add_find(verb)
    _add_scheduler(verb)
    verb.add_argument(
        "--positions", action=argparse.BooleanOptionalAction, default=None,
        help="look for the cells of powder profiles (default: where there are few)",
    )  # fmt: skip
    verb.set_defaults(run=verbs.classify)

    _add_follow(choices)

    verb = choices.add_parser("simulate", help="phases + microscope -> master patterns, patterns")
    verb.add_argument("spec", type=Path, metavar="SPEC.yaml", help="a SimulateSpec")
    verb.add_argument("--out", type=Path, required=True, metavar="FILE", help="what is simulated")
    _add_scheduler(verb)
    verb.set_defaults(run=verbs.simulate)

    verb = choices.add_parser("train", help="master patterns -> model directory")
    verb.add_argument("spec", type=Path, metavar="SPEC.yaml", help="a training spec")
    verb.add_argument("--out", type=Path, required=True, metavar="MODEL_DIR", help="the model")
    verb.add_argument("--resume", action="store_true", help="go on where a killed run stopped")
    _add_scheduler(verb)
    verb.set_defaults(run=verbs.train)

    verb = choices.add_parser("evaluate", help="model + known phases -> report")
    verb.add_argument("model", metavar="M", help="bundled name, or a model directory")
    source = verb.add_mutually_exclusive_group(required=True)
    source.add_argument("--phases", type=Path, metavar="DIR_OF_CIFS", help="phases to simulate")
    source.add_argument("--scan", type=Path, metavar="FILE", help="measured patterns of one phase")
    verb.add_argument("--truth", type=int, metavar="SG", help="space-group number of the scan")
    verb.add_argument("--condition", metavar="NAME", help="clean, standard (default) or hard")
    verb.add_argument("--patterns-per-phase", type=int, metavar="N", help="default: 200")
    verb.add_argument("--thick-share", type=float, metavar="S",
                      help="share of thick crystals, 0 to 1; spot patterns alone")  # fmt: skip
    verb.add_argument("--seed", type=int, metavar="N", help="of all random numbers (default: 0)")
    verb.add_argument("--json", type=Path, metavar="REPORT.json", help="the whole report")
    _add_running(verb)
    _add_profile(verb)
    verb.set_defaults(run=verbs.evaluate)

    _add_combine(choices)

    verb = choices.add_parser("index", help="powder profile -> its cell and what it leaves")
    verb.add_argument("scan", type=Path, metavar="PROFILE", help="xy, xye, xrdml, GSAS, CIF, ...")
    verb.add_argument(
        "--pixel", type=int, nargs=2, metavar=("ROW", "COLUMN"), default=(0, 0),
        help="of a map of profiles (default: the first)",
    )  # fmt: skip
    verb.add_argument("--json", type=Path, metavar="REPORT.json", help="the whole report")
    _add_profile(verb)
    verb.set_defaults(run=indexing.index)

    verb = choices.add_parser("explain", help="pattern + model -> what decided, as a picture")
    verb.add_argument("scan", type=Path, metavar="SCAN", help="a scan that kikuchipy reads")
    _add_model(verb)
    verb.add_argument(
        "--pixel", type=int, nargs=2, metavar=("ROW", "COLUMN"), help="default: the first"
    )
    verb.add_argument("--space-group", type=int, metavar="N", help="default: the likeliest")
    verb.add_argument(
        "--method", metavar="NAME",
        help="integrated_gradients (default), hires_cam, grad_cam or guided_grad_cam",
    )  # fmt: skip
    verb.add_argument(
        "--patterns", type=int, metavar="N",
        help="patterns of the mean in crystal directions (default: 32; 0: none)",
    )  # fmt: skip
    verb.add_argument("--device", metavar="DEVICE", help="auto (default), cpu, cuda, cuda:N, mps")
    verb.add_argument("--out", type=Path, required=True, metavar="FILE.png", help="the picture")
    verb.add_argument("--json", type=Path, metavar="REPORT.json", help="the figures behind it")
    verb.set_defaults(run=verbs.explain)

    _add_microscope(choices)

    _add_phases(choices)

    verb = choices.add_parser("models", help="list, show or check the models at hand")
    actions = verb.add_subparsers(metavar="ACTION")
    verb.set_defaults(run=verbs.list_models)
    actions.add_parser("list", help="names of the bundled models").set_defaults(
        run=verbs.list_models
    )
    for name, run, words in (
        ("show", verbs.show_model, "print the model card"),
        ("check", verbs.check_model, "verify weights, card and checksum"),
    ):
        action = actions.add_parser(name, help=words)
        action.add_argument("model", metavar="M", help="bundled name, or a model directory")
        action.set_defaults(run=run)
    return parser


def _add_model(verb: argparse.ArgumentParser) -> None:
    verb.add_argument(
        "--model", required=True, metavar="M", help="bundled name, or a model directory"
    )


def _add_running(verb: argparse.ArgumentParser) -> None:
    verb.add_argument("--device", metavar="DEVICE", help="auto (default), cpu, cuda, cuda:N, mps")
    verb.add_argument("--batch-size", type=int, metavar="N", help="patterns in one pass")


def _add_scheduler(verb: argparse.ArgumentParser) -> None:
    verb.add_argument(
        "--scheduler", metavar="ADDRESS",
        help="send the work to the dask scheduler at tcp://... or tls://...; dask: to a worker "
        "process here (default: NAPARI_SPACEGROUP_SCHEDULER, else this process)",
    )  # fmt: skip


def _add_view(verb: argparse.ArgumentParser) -> None:
    verb.add_argument(
        "--pattern-center", type=float, nargs=3, metavar=("X", "Y", "Z"),
        help="taken as it is for every pixel; Bruker's convention, fractions of the detector",
    )  # fmt: skip
    verb.add_argument(
        "--like", type=Path, metavar="MAP.h5",
        help="take screen and pattern center from a map of the same scan, to get an equal map",
    )  # fmt: skip
    verb.add_argument(
        "--anew", action="store_true", help="throw an unfinished map away instead of going on"
    )


def _add_profile(verb: argparse.ArgumentParser) -> None:
    _add_told(verb)
    add_calibration(verb)


def _add_told(verb: argparse.ArgumentParser) -> None:
    verb.add_argument(
        "--wavelength", type=float, metavar="Å", help="of a powder profile whose file does not say"
    )
    verb.add_argument(
        "--radiation", choices=("xray", "neutron"), help="that a powder profile was measured with"
    )
    verb.add_argument(
        "--difc", type=float, metavar="µs", help="time of flight of 1 Å, for a profile over time"
    )
    verb.add_argument(
        "--axis", choices=("two_theta", "q", "d", "tof"),
        help="what the first column of a powder profile is (default: two_theta, tof beyond 180)",
    )  # fmt: skip


def _add_combine(choices: Any) -> None:
    verb = choices.add_parser("combine", help="patterns of one crystal -> joint evidence")
    verb.add_argument("patterns", type=Path, nargs="+", metavar="FILE", help="pictures or scans")
    _add_model(verb)
    verb.add_argument("--method", metavar="NAME", help="bayes (default) or mean")
    verb.add_argument("--alpha", type=float, metavar="DEGREES", help="holder now (default: 0)")
    verb.add_argument("--beta", type=float, metavar="DEGREES", help="holder now (default: 0)")
    verb.add_argument(
        "--holder-axis", type=float, metavar="DEGREES",
        help="alpha's axis in the picture, counterclockwise from the right (default: 0)",
    )  # fmt: skip
    verb.add_argument("--reach", type=float, metavar="DEGREES", help="of both tilts (default: 30)")
    add_calibration(verb)
    verb.add_argument("--device", metavar="DEVICE", help="auto (default), cpu, cuda, cuda:N, mps")
    verb.add_argument("--json", type=Path, metavar="REPORT.json", help="all the figures")
    verb.set_defaults(run=combining.combine)


def _add_follow(choices: Any) -> None:
    verb = choices.add_parser("follow", help="a scan that is being written + model -> map")
    verb.add_argument(
        "path", type=Path, metavar="PATH",
        help="file, or folder of images or powder profiles, even before it is",
    )  # fmt: skip
    _add_model(verb)
    verb.add_argument("--out", type=Path, required=True, metavar="MAP.h5", help="the map")
    verb.add_argument("--json", type=Path, metavar="REPORT.json", help="shares per class")
    verb.add_argument(
        "--until-idle", type=float, metavar="SECONDS",
        help="end when nothing new came for so long (default: when the scan is complete)",
    )  # fmt: skip
    verb.add_argument(
        "--if-behind", metavar="WHAT",
        help="catch_up (default): all patterns in their order; sample: some of the newest now, "
        "the rest at the end",
    )  # fmt: skip
    verb.add_argument("--scan-shape", type=int, nargs=2, metavar=("ROWS", "COLUMNS"))
    verb.add_argument("--scan-order", metavar="ORDER", help="raster (default), snake, ...")
    _add_running(verb)
    _add_view(verb)
    _add_told(verb)
    _add_scheduler(verb)
    verb.add_argument(
        "--positions", action="store_true",
        help="look for the cell of each powder profile too; some ten seconds for each",
    )  # fmt: skip
    verb.set_defaults(run=verbs.follow)


def _add_phases(choices: Any) -> None:
    verb = choices.add_parser("phases", help="search the bundled phases; write them as CIF")
    verb.add_argument(
        "text", nargs="*", metavar="WORD", help="in name, formula, mineral, type or A1, L1_2, ..."
    )
    verb.add_argument("--elements", nargs="+", metavar="E", help="that a phase must hold")
    verb.add_argument("--only", action="store_true", help="... and no others")
    verb.add_argument("--space-group", type=int, metavar="N", help="number, 1 to 230")
    verb.add_argument("--system", metavar="NAME", help="crystal system, such as cubic")
    verb.add_argument("--cif", type=Path, metavar="DIR", help="write one CIF file per phase found")
    verb.add_argument("--json", type=Path, metavar="FILE.json", help="write what is found")
    verb.set_defaults(run=search_phases)


def _add_microscope(choices: Any) -> None:
    verb = choices.add_parser("microscope", help="simulate a scan that is being written")
    verb.add_argument("--phases", type=Path, nargs="+", metavar="DIR", help="CIF files or folders")
    verb.add_argument("--spec", type=Path, metavar="SPEC.yaml", help="a SimulatedMicroscopeSpec")
    verb.add_argument("--out", type=Path, required=True, metavar="FILE", help="what is written")
    formats = "up1, up2, nordif, ebsp, hdf5, zarr, tif, png, bmp"
    verb.add_argument("--format", metavar="FORMAT", help=f"{formats} (default: up2)")
    verb.add_argument("--rate", type=float, metavar="N", help="patterns per second (default: 5000)")
    verb.add_argument("--scan-shape", type=int, nargs=2, metavar=("ROWS", "COLUMNS"))
    verb.add_argument("--pattern-shape", type=int, nargs=2, metavar=("ROWS", "COLUMNS"))
    verb.add_argument("--grains", type=int, metavar="N", help="default: 24")
    verb.add_argument("--noise", type=float, metavar="SIGMA", help="over the signal (default: 1)")
    verb.add_argument("--scan-order", metavar="ORDER", help="raster (default) or snake")
    verb.add_argument("--seed", type=int, metavar="N", help="of all random numbers (default: 0)")
    verb.add_argument(
        "--fault", action="append", metavar="KIND:AT[:VALUE]",
        help="pause, stop, truncate, repeat, skip, restart, delete or garbage before pattern AT; "
        "VALUE: seconds of a pause, else a number of patterns; may be given several times",
    )  # fmt: skip
    verb.set_defaults(run=verbs.microscope)


def _is_ours_or_urgent(record: logging.LogRecord) -> bool:
    return record.levelno >= logging.WARNING or record.name.startswith("napari_spacegroup")
