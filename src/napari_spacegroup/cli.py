"""The command line: the verbs of the library, one message per error, honest exit statuses.

Results go to files and a short summary to stdout; progress and messages go to stderr.
The exit status is 0 when all is well, 2 for a request that can't be met (with what we got,
what is needed and what to do), and 1 when it was cancelled or something unforeseen broke.
An output appears whole or not at all.
"""

from __future__ import annotations

import argparse
import json
import logging
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ._version import __version__
from .errors import CancelledError, ResultError, SpaceGroupError

if TYPE_CHECKING:
    from .infer import SpaceGroupMap
    from .jobs import Event, Progress

EXIT_OK = 0
EXIT_BROKEN = 1
EXIT_REFUSED = 2


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
        _say(f"cancelled: {error}" if str(error) else "cancelled: nothing more was written")
        return EXIT_BROKEN
    except SpaceGroupError as error:
        _say(f"error: {error}")
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
    verbs = parser.add_subparsers(title="verbs", metavar="VERB", required=True)

    verb = verbs.add_parser("demo", help="classify the bundled nickel scan")
    verb.add_argument(
        "--out",
        type=Path,
        default=Path("demo-out"),
        metavar="DIR",
        help="folder for map.h5, map.png and report.json (default: demo-out)",
    )
    verb.set_defaults(run=_demo)

    verb = verbs.add_parser("classify", help="scan + model -> map of space groups")
    verb.add_argument("scan", type=Path, metavar="SCAN", help="a scan that kikuchipy reads")
    _add_model(verb)
    verb.add_argument("--out", type=Path, required=True, metavar="MAP.h5", help="the map")
    verb.add_argument("--json", type=Path, metavar="REPORT.json", help="shares per class")
    _add_running(verb)
    verb.set_defaults(run=_classify)

    verb = verbs.add_parser("simulate", help="phases + microscope -> master patterns, patterns")
    verb.add_argument("spec", type=Path, metavar="SPEC.yaml", help="a SimulateSpec")
    verb.add_argument("--out", type=Path, required=True, metavar="FILE", help="what is simulated")
    verb.set_defaults(run=_simulate)

    verb = verbs.add_parser("train", help="master patterns -> model directory")
    verb.add_argument("spec", type=Path, metavar="SPEC.yaml", help="a TrainSpec")
    verb.add_argument("--out", type=Path, required=True, metavar="MODEL_DIR", help="the model")
    verb.add_argument("--resume", action="store_true", help="go on where a killed run stopped")
    verb.set_defaults(run=_train)

    verb = verbs.add_parser("evaluate", help="model + known phases -> report")
    verb.add_argument("model", metavar="M", help="bundled name, or a model directory")
    source = verb.add_mutually_exclusive_group(required=True)
    source.add_argument("--phases", type=Path, metavar="DIR_OF_CIFS", help="phases to simulate")
    source.add_argument("--scan", type=Path, metavar="FILE", help="measured patterns of one phase")
    verb.add_argument("--truth", type=int, metavar="SG", help="space-group number of the scan")
    verb.add_argument("--condition", metavar="NAME", help="clean, standard (default) or hard")
    verb.add_argument("--patterns-per-phase", type=int, metavar="N", help="default: 200")
    verb.add_argument("--seed", type=int, metavar="N", help="of all random numbers (default: 0)")
    verb.add_argument("--json", type=Path, metavar="REPORT.json", help="the whole report")
    _add_running(verb)
    verb.set_defaults(run=_evaluate)

    _add_microscope(verbs)

    verb = verbs.add_parser("models", help="list, show or check the models at hand")
    actions = verb.add_subparsers(metavar="ACTION")
    verb.set_defaults(run=_list_models)
    actions.add_parser("list", help="names of the bundled models").set_defaults(run=_list_models)
    for name, run, words in (
        ("show", _show_model, "print the model card"),
        ("check", _check_model, "verify weights, card and checksum"),
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


def _add_microscope(verbs: Any) -> None:
    verb = verbs.add_parser("microscope", help="simulate a scan that is being written")
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
    verb.set_defaults(run=_microscope)


def _microscope(options: argparse.Namespace) -> int:
    from .config import FaultSpec, SimulatedMicroscopeSpec

    names: tuple[str, ...] = ("phases", "format", "rate", "scan_shape", "pattern_shape", "grains")
    names += ("noise", "scan_order", "seed")
    given = _given(**{name: getattr(options, name) for name in names})
    if options.fault:
        given["faults"] = tuple(FaultSpec.from_text(text) for text in options.fault)
    if options.spec is not None:
        spec = SimulatedMicroscopeSpec.from_yaml(options.spec).replace(**given)
    else:
        spec = SimulatedMicroscopeSpec.from_mapping(given, "the command line")
    from .workflows.microscope import run_microscope, truth_path

    with _ProgressLine() as line:
        run_microscope(spec, options.out, on_event=line.show)
    _say(f"the truth stands in {truth_path(options.out)}")
    return EXIT_OK


def _demo(options: argparse.Namespace) -> int:
    from . import workflows

    with _ProgressLine() as line:
        result = workflows.demo(options.out, on_event=line.show)
    _print_summary(result)
    _say(f"wrote map.h5, map.png and report.json to {options.out}")
    return EXIT_OK


def _classify(options: argparse.Namespace) -> int:
    from .config import ClassifySpec

    spec = ClassifySpec.from_mapping(
        _given(model=options.model, device=options.device, batch_size=options.batch_size),
        "the command line",
    )
    _check_output(options.out, options.json)
    from . import workflows

    with _ProgressLine() as line:
        result = workflows.classify(
            options.scan,
            spec.model,
            device=spec.device,
            batch_size=spec.batch_size,
            on_event=line.show,
        )
    result.save(options.out)
    if options.json is not None:
        _write_json(options.json, workflows.map_report(result))
    _print_summary(result)
    return EXIT_OK


def _simulate(options: argparse.Namespace) -> int:
    from .config import SimulateSpec

    spec = SimulateSpec.from_yaml(options.spec)
    _check_output(options.out)
    from . import workflows

    with _ProgressLine() as line:
        workflows.simulate(spec, options.out, on_event=line.show)
    _say(f"wrote {options.out}")
    return EXIT_OK


def _train(options: argparse.Namespace) -> int:
    from .config import TrainSpec

    spec = TrainSpec.from_yaml(options.spec)
    from . import workflows

    with _ProgressLine() as line:
        workflows.train(spec, options.out, resume=options.resume, on_event=line.show)
    _say(f"wrote the model to {options.out}")
    return EXIT_OK


def _evaluate(options: argparse.Namespace) -> int:
    from .config import EvaluateSpec

    names: tuple[str, ...] = ("model", "phases", "scan", "truth", "condition")
    names += ("patterns_per_phase", "seed", "device", "batch_size")
    spec = EvaluateSpec.from_mapping(
        _given(**{name: getattr(options, name) for name in names}), "the command line"
    )
    _check_output(options.json)
    from . import workflows

    with _ProgressLine() as line:
        report = workflows.evaluate(
            spec.model,
            phases=spec.phases,
            scan=spec.scan,
            truth=spec.truth,
            condition=spec.condition,
            patterns_per_phase=spec.patterns_per_phase,
            seed=spec.seed,
            device=spec.device,
            batch_size=spec.batch_size,
            on_event=line.show,
        )
    if options.json is not None:
        _write_json(options.json, report)
    _print_accuracy(report)
    return EXIT_OK


def _list_models(options: argparse.Namespace) -> int:
    del options
    from . import models

    for name in models.list_models():
        print(name)
    return EXIT_OK


def _show_model(options: argparse.Namespace) -> int:
    from . import models

    print(models.show_model(options.model).model_dump_json(indent=2))
    return EXIT_OK


def _check_model(options: argparse.Namespace) -> int:
    from . import models

    problems = models.check_model(options.model)
    for problem in problems:
        _say(f"error: {problem}")
    if problems:
        return EXIT_REFUSED
    print(f"{options.model}: weights, card and checksum agree")
    return EXIT_OK


def _given(**values: Any) -> dict[str, Any]:
    """Return the options that were given; the spec knows the defaults of the others."""
    return {name: value for name, value in values.items() if value is not None}


def _is_ours_or_urgent(record: logging.LogRecord) -> bool:
    return record.levelno >= logging.WARNING or record.name.startswith("napari_spacegroup")


def _say(message: str) -> None:
    print(message, file=sys.stderr)


def _check_output(*paths: Path | None) -> None:
    """Refuse an output that can't be written before hours are spent on it."""
    for path in paths:
        if path is None:
            continue
        if path.is_dir():
            raise ResultError(f"{path} is a folder; give the name of a file in it")
        folder = path.absolute().parent
        if not folder.is_dir():
            raise ResultError(f"there is no folder {folder} for {path.name}; make it first")
        if not os.access(folder, os.W_OK):
            raise ResultError(f"the folder {folder} can't be written to; choose another one")


def _write_json(path: Path, value: Any) -> None:
    from pydantic_core import to_json

    from .infer.whole_file import whole_file

    with whole_file(path) as file:
        file.write(to_json(value, indent=2, inf_nan_mode="null", fallback=_plain_number) + b"\n")


def _plain_number(value: Any) -> Any:
    """Return a numpy scalar or array as plain Python numbers."""
    return value.tolist()


def _print_summary(result: SpaceGroupMap) -> None:
    scan_y, scan_x = result.status.shape
    print(f"{scan_y} x {scan_x} pixels of {result.scan_name}, model {result.model_name}")
    print(f"{'space group':<14}{'system':<14}{'share':>8}{'confidence':>12}")
    for row in result.legend("space_group"):
        name = f"{row.symbol} ({row.label})" if row.label else row.symbol
        print(f"{name:<14}{row.system:<14}{row.share:>8.1%}{row.mean_confidence:>12.2f}")


def _print_accuracy(report: Any) -> None:
    from pydantic_core import to_jsonable_python

    table = to_jsonable_python(report, fallback=_plain_number)
    print(json.dumps({"accuracy": table["accuracy"], "ece": table.get("ece")}, indent=2))


class _ProgressLine:
    """Progress on stderr: one line that is rewritten on a terminal, a few lines in a log."""

    def __init__(self) -> None:
        self._is_terminal = sys.stderr.isatty()
        self._last_tenth = -1
        self._width = 0

    def __enter__(self) -> _ProgressLine:
        return self

    def __exit__(self, *_: object) -> None:
        if self._width:
            print(file=sys.stderr)

    def show(self, event: Event) -> None:
        """Show an event that a person wants to read."""
        from .jobs import Log, Progress

        if isinstance(event, Log):
            self._write(event.message, is_final=True)
        elif isinstance(event, Progress):
            self._show_progress(event)

    def _show_progress(self, event: Progress) -> None:
        text = f"{event.done} of {event.total}" if event.total else f"{event.done}"
        text = f"{event.message}: {text}" if event.message else text
        tenth = int(10 * event.fraction)
        if self._is_terminal:
            self._write(text, is_final=False)
        elif tenth != self._last_tenth:
            self._write(text, is_final=True)
        self._last_tenth = tenth

    def _write(self, text: str, *, is_final: bool) -> None:
        if not self._is_terminal:
            print(text, file=sys.stderr)
            return
        print("\r" + text.ljust(self._width), end="\n" if is_final else "", file=sys.stderr)
        self._width = 0 if is_final else len(text)
        sys.stderr.flush()


if __name__ == "__main__":
    sys.exit(main())
