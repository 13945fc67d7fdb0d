"""What all parts share: the sides, started and stopped, and every load on record."""

import random
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from loadtests.answers import Different, Refused
from loadtests.client.run import ClientError
from loadtests.client.target import Target
from loadtests.compare.cases import CASES, Case
from loadtests.compare.checks import Checks
from loadtests.compare.load import Load, measure
from loadtests.compare.options import Options
from loadtests.compare.progress import Steps
from loadtests.compare.results import Event, Results, Run
from loadtests.compare.sides import Side, configured
from loadtests.compare.starting import timed
from loadtests.live import LIVE
from loadtests.servers import Server

FILE = "results.json"
SWITCHED = "digits"  # the demo model that has two versions
OVERHEAD_S = 0.9  # of a run: processes that start and end, and the server coming to rest
START_S = {"tandem": 20.0, LIVE: 20.0}  # expected for start and end of a side's server
PLAIN_START_S = 7.0
SETTLE_S = 1.0


class SideDied(Exception):
    """Its server ended, or answered nothing; it's on record."""


@dataclass(frozen=True)
class Visit:
    """A server's life: what it is given, and which cases it must answer before it counts as started."""

    side: Side
    number: int  # of the round
    part: str
    config: dict[str, Any]
    cases: list[Case]
    timed: bool = True  # whether its start counts: alone, with the usual models
    kept: bool = False  # whether its server stays up for the next visit

    @property
    def models(self) -> list[str]:
        """Those of the cases."""
        return list(dict.fromkeys(model for case in self.cases for model in case.models))


class Session:
    """One comparison under way."""

    def __init__(self, options: Options, results: Results, steps: Steps) -> None:
        self.options, self.results, self.steps = options, results, steps
        self.sides = [Side.parse(text, options.switches) for text in options.sides]
        self.checks = Checks(self.loaded_cases)
        self.config = configured(options.config, self.models, versions={SWITCHED: "1"})
        self._up: dict[str, Server] = {}  # by side: those that are kept, and not visited now

    @property
    def kept(self) -> bool:
        """Whether servers live through all rounds; not where a new version would stay in them."""
        return self.options.kept and "switch" not in self.options.parts

    @property
    def loaded_cases(self) -> list[Case]:
        """Those asked for, and what other parts load."""
        found = {case.name: case for case in self.options.cases}
        if {"switch", "models"} & set(self.options.parts):
            found.setdefault("digits/http", CASES["digits/http"])
        return list(found.values())

    @property
    def models(self) -> list[str]:
        """Of those cases."""
        return list(dict.fromkeys(model for case in self.loaded_cases for model in case.models))

    def in_turn(self, number: int) -> list[Side]:
        """The sides in another order every round, so that none has always the best place."""
        order = self.sides[:] if number % 2 == 0 else self.sides[::-1]
        if len(order) > 2 and number:
            random.Random(number).shuffle(order)
        return order

    @property
    def start_cost(self) -> float:
        """Seconds that starting and ending every side once is expected to take."""
        return sum(START_S.get(side.kind, PLAIN_START_S) for side in self.sides if side.kind)

    def capacities(self, case: Case) -> list[float]:
        """Answers per second of each side, as the preparation found them."""
        return [run.achieved for run in self.results.of("capacity", case.name) if run.round < 0]

    def run(
        self,
        load: Load,
        target: Target,
        server: Server | None,
        begun: Callable[[float], None] = lambda begin: None,
    ) -> Run:
        """Measure, keep, and see that the side lives; SideDied when it doesn't."""
        what = f"at {load.rate:,.0f}/s" if load.rate else "as fast as it answers"
        self.steps.begin(f"{target.name}, {load.part}: {load.case.title}, {what}")
        others = [*self._up.values()]
        began, before = time.monotonic(), sum(other.cpu() for other in others)
        made = measure(load, target, server, self.checks.answers, begun)
        if others:
            idle = sum(other.cpu() for other in others) - before
            made.others_cpu = max(0.0, idle) / (time.monotonic() - began)
        self.results.runs.append(made)
        self.steps.done(cost(load))
        if made.wrong:
            what = f"{made.wrong} of {made.checked} answers under load were other ones than before"
            self.event(target.name, load.round, load.part, what)
        if server and not server.alive:
            lines = server.tail().strip().splitlines()[-5:]
            self.event(target.name, load.round, load.part, _died(server.exit_code, lines))
            raise SideDied
        if made.latency_us and made.failed == len(made.latency_us):
            reasons = ", ".join(made.errors) or "no reason"
            self.event(target.name, load.round, load.part, f"answered nothing ({reasons})")
            raise SideDied
        if server:
            server.settle()
        return made

    def visit(self, visit: Visit, work: Callable[[Target, Server | None], None]) -> None:
        """Start the side, do the work, stop it or keep it. What fails goes on record, and ends it."""
        side, up = visit.side, self._up.pop(visit.side.name, None)
        server = up or side.server(visit.config, visit.models)
        well = False
        try:
            if server is not None:
                if up is None:
                    self._start(visit, server)
                work(server.target, server)
            else:
                assert side.target is not None
                work(side.target, None)
            well = True
        except SideDied:
            pass
        except (RuntimeError, ClientError, OSError, Refused, Different) as error:
            self.event(side.name, visit.number, visit.part, str(error).strip()[-500:])
        finally:
            if server is not None and well and visit.kept:
                self._up[side.name] = server
            elif server is not None:
                server.end()
            self.save()

    def end(self) -> None:
        """Stop what is still up."""
        while self._up:
            self._up.popitem()[1].end()

    def _start(self, visit: Visit, server: Server) -> None:
        models = f"{len(visit.models)} model" + "s" * (len(visit.models) > 1)
        self.steps.begin(f"{visit.side.name}: start with {models}")
        start = timed(server, visit.cases, self.checks.answers, visit.number)
        if visit.timed:
            self.results.starts.append(start)
        time.sleep(SETTLE_S)  # what starts late (proxies, dashboards) is over
        self.steps.done(START_S.get(visit.side.kind, PLAIN_START_S))

    def event(self, side: str, number: int, part: str, what: str) -> None:
        """Put something on record, and on the screen."""
        self.results.events.append(Event(side, number, part, what))
        self.steps.say(f"{side}, {part}: {what}")
        self.save()

    def save(self) -> None:
        """Everything until now."""
        self.results.save(self.options.output / FILE)


def cost(load: Load) -> float:
    """Seconds that it is expected to take."""
    return (load.profile.duration if load.profile else load.seconds) + load.warm_up + OVERHEAD_S


def _died(code: int | None, lines: list[str]) -> str:
    how = f"was killed by signal {-code}" if code is not None and code < 0 else f"ended with code {code}"
    return f"its server {how} under load; it last said: " + " / ".join(lines)
