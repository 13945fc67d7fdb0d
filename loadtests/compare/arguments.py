"""The command line of a comparison, and the options that it asks for."""

import argparse
import difflib
from collections.abc import Callable
from pathlib import Path
from typing import Any

from loadtests.compare.cases import CASES, Case
from loadtests.compare.options import PARTS, Options, Slo, parse_prices, parse_slo
from loadtests.compare.own import SUFFIXES, payload, read

# Five to six minutes on two cores. A difference shows by many rounds, not by long ones; so servers are
# started once for all of them, and what takes long (version switch, burst, many models) is left out.
QUICK: dict[str, Any] = {
    "sides": ("tandem", "kserve-tuned"),
    "parts": ("start", "load"),
    "cases": (CASES["identity/http"], CASES["identity/grpc"]),
    "rounds": 10,
    "kept": True,
    "starts": 3,
    "seconds": 0.5,
    "warm_up": 0.15,
    "steps": 3,
    "spike": 1.5,
    "calm": 0.6,
}


def options_of(given: argparse.Namespace) -> Options:
    """What is asked for; ValueError says what is wrong with it."""
    changes: dict[str, Any] = dict(QUICK) if given.quick else {}
    changes |= {
        name: value
        for name in (
            "config",
            "rounds",
            "kept",
            "starts",
            "seconds",
            "warm_up",
            "steps",
            "spike",
            "calm",
        )
        if (value := getattr(given, name)) is not None
    }
    changes |= {"arrivals": given.arrivals, "processes": given.processes, "output": given.output}
    if given.target:
        changes["sides"] = tuple(given.target)
    if given.parts:
        changes["parts"] = _known(given.parts, PARTS, "part")
    slos: dict[str, Slo] = {}
    if given.cases:
        changes["cases"], slos = _cases(given.cases)
    if given.payload:
        own = tuple(payload(text) for text in given.payload)
        changes["cases"] = (*changes.get("cases", ()), *own) if given.cases else own
    if given.counts:
        changes["counts"] = tuple(int(count) for count in given.counts.split(","))
    options = Options(**changes, switches=dict(_pair(text) for text in given.switch))
    options.slos.update(slos)
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


def _cases(text: str) -> tuple[tuple[Case, ...], dict[str, Slo]]:
    """Names of the demo models' cases, and files with cases of one's own."""
    found: list[Case] = []
    slos: dict[str, Slo] = {}
    for name in text.split(","):
        if name.endswith(SUFFIXES):
            own, theirs = read(Path(name))
            found += own
            slos |= theirs
        else:
            found.append(CASES[_known(name, tuple(CASES), "case")[0]])
    if twice := [case.name for case in found if [one.name for one in found].count(case.name) > 1]:
        raise ValueError(f"--cases has {twice[0]} twice")
    return tuple(found), slos


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


def parser(description: str) -> argparse.ArgumentParser:
    """For options that `options_of` reads."""
    made = argparse.ArgumentParser(
        prog="python -m loadtests.compare",
        description=description,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    add: Callable[..., Any] = made.add_argument
    add(
        "--target",
        action="append",
        metavar="SIDE",
        help="a side, the first is the one judged; repeat it",
    )
    add("--quick", action="store_true", help="five to six minutes: start and load, in ten short rounds")
    add("--parts", help=f"of {','.join(PARTS)}")
    add(
        "--cases",
        metavar="CASE|FILE,...",
        help=f"of {','.join(CASES)}, or a file of your own such as docs/comparison/cases.yaml",
    )
    add("--payload", action="append", metavar="MODEL=FILE", help="a V2 JSON request of your own model")
    add("--config", type=Path, help="the Serve config that started sides get their models from")
    add("--rounds", type=int, help="every side is measured once in each; ten or more show what is there")
    add(
        "--kept",
        action=argparse.BooleanOptionalAction,
        help="start servers once, and have them up side by side through all rounds",
    )
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
    return made
