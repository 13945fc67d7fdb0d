"""`python -m loadtests.compare`: two or more sides, measured in turn, and one report of it.

A side is `tandem`, `kserve` or `kserve-tuned`, which are started here (`again=tandem` starts another
one under another name), or the address of one that runs: `name=https://host,grpc=host:443,host=...`.
"""

import argparse
import difflib
import signal
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from loadtests.client.run import ClientError
from loadtests.client.target import TargetError
from loadtests.compare import schedule
from loadtests.compare.cases import CASES, payload
from loadtests.compare.checks import Incomparable
from loadtests.compare.conditions import conditions
from loadtests.compare.options import PARTS, Options, parse_prices, parse_slo
from loadtests.compare.progress import Steps, minutes
from loadtests.compare.results import Results
from loadtests.compare.session import Session
from loadtests.compare.writing import write

# About five minutes on two cores: fewer of everything, and not the many models.
QUICK: dict[str, Any] = {
    "sides": ("tandem", "kserve-tuned"),
    "parts": ("start", "load", "switch", "burst"),
    "cases": (CASES["identity/http"], CASES["identity/grpc"]),
    "rounds": 3,
    "starts": 4,
    "seconds": 1.2,
    "warm_up": 0.3,
    "steps": 3,
    "spike": 2.0,
    "calm": 0.6,
}


def main() -> None:
    given = _parser().parse_args()
    try:
        if given.report:
            _show(write(Results.load(given.report), given.report.parent))
            return
        options = _options(given)
        sys.exit(_compare(options))
    except (TargetError, Incomparable, ValueError, OSError, ClientError) as error:
        raise SystemExit(f"compare: {error}") from None


def _compare(options: Options) -> int:
    """0 when all was measured, 130 when it was interrupted, 1 when a side failed on the way."""
    results = Results(sides=[], about={})
    session = Session(options, results, Steps(1))
    results.sides = [side.name for side in session.sides]
    results.about = conditions(session, ["python", "-m", "loadtests.compare", *sys.argv[1:]])
    expected = schedule.expected(session)
    print(f"{' against '.join(results.sides)}: about {minutes(expected)} minutes", flush=True)
    stopped = False
    with Steps(expected) as steps:
        session.steps = steps

        def interrupt(*_: object) -> None:
            steps.interrupted = True
            raise KeyboardInterrupt

        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, interrupt)
        try:
            schedule.everything(session)
        except KeyboardInterrupt:
            stopped = True
            steps.say("interrupted: what is finished is kept")
        finally:
            session.save()
    if any(results.of("load")) or results.starts:
        _show(write(results, options.output))
    return 130 if stopped else int(bool(results.events))


def _show(files: list[Path]) -> None:
    print("written: " + ", ".join(map(str, files)))


def _options(given: argparse.Namespace) -> Options:
    changes: dict[str, Any] = dict(QUICK) if given.quick else {}
    changes |= {
        name: value
        for name in ("config", "rounds", "starts", "seconds", "warm_up", "steps", "spike", "calm")
        if (value := getattr(given, name)) is not None
    }
    changes |= {"arrivals": given.arrivals, "processes": given.processes, "output": given.output}
    if given.target:
        changes["sides"] = tuple(given.target)
    if given.parts:
        changes["parts"] = _known(given.parts, PARTS, "part")
    if given.cases:
        changes["cases"] = tuple(CASES[name] for name in _known(given.cases, tuple(CASES), "case"))
    if given.payload:
        own = tuple(payload(text) for text in given.payload)
        changes["cases"] = (*changes.get("cases", ()), *own) if given.cases else own
    if given.counts:
        changes["counts"] = tuple(int(count) for count in given.counts.split(","))
    options = Options(**changes, switches=dict(_pair(text) for text in given.switch))
    for text in given.slo:
        of, slo = parse_slo(text)
        options.slos[of] = slo
    return _sound(Options(**{**vars(options), "prices": parse_prices(given.prices)}))


def _sound(options: Options) -> Options:
    names = [side.partition("=")[0] for side in options.sides]
    if len(set(names)) < len(names):
        raise ValueError(f"every side needs its own name (again=tandem), got {', '.join(names)}")
    if len(names) < 2:
        raise ValueError("a comparison needs two sides: --target tandem --target kserve-tuned")
    if options.rounds < 2 or options.steps < 2 or options.seconds <= 0:
        raise ValueError("two rounds or more, two steps or more, and some seconds are needed")
    return options


def _known(text: str, names: tuple[str, ...], what: str) -> tuple[str, ...]:
    found = tuple(text.split(","))
    for name in found:
        if name not in names:
            near = difflib.get_close_matches(name, names, n=1)
            hint = f", did you mean '{near[0]}'?" if near else ""
            raise ValueError(f"no {what} '{name}'{hint}; there are {', '.join(names)}")
    return found


def _pair(text: str) -> tuple[str, str]:
    name, equals, command = text.partition("=")
    if not equals or not command:
        raise ValueError(f"a switch is SIDE=COMMAND, got '{text}'")
    return name, command


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m loadtests.compare",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    add: Callable[..., Any] = parser.add_argument
    add(
        "--target",
        action="append",
        metavar="SIDE",
        help="a side, the first is the one judged; repeat it",
    )
    add("--quick", action="store_true", help="about five minutes, wide intervals")
    add("--parts", help=f"of {','.join(PARTS)}")
    add("--cases", help=f"of {','.join(CASES)}")
    add("--payload", action="append", metavar="MODEL=FILE", help="a V2 JSON request of your own model")
    add("--config", type=Path, help="the Serve config that started sides get their models from")
    add("--rounds", type=int)
    add("--starts", type=int, help="how often each side is started")
    add("--seconds", type=float, help="of each step of load")
    add("--warm-up", type=float, help="seconds before each step that don't count")
    add("--steps", type=int, help="rates of each curve")
    add("--spike", type=float, help="seconds of the burst")
    add("--calm", type=float, help="seconds before the burst")
    add("--counts", help="of models in one server, such as 1,4,16")
    add("--arrivals", choices=["poisson", "constant"], default="poisson")
    add("--slo", action="append", default=[], help="p99=50ms, or sentences:p99=500ms for one model")
    add("--prices", default="core=0.04,gib=0.005", help="dollars per hour")
    add("--processes", type=int, default=1, help="of the client")
    add(
        "--switch",
        action="append",
        default=[],
        metavar="SIDE=COMMAND",
        help="gives a running side version 2",
    )
    add("--output", type=Path, default=Path("build/compare"), help="the folder of the report")
    add("--report", type=Path, metavar="FILE", help="only write the report of such a results.json again")
    return parser


if __name__ == "__main__":
    main()
