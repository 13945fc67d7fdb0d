"""A model's new version under load, each side switching as it does."""

import threading
import time
from dataclasses import dataclass, field

from loadtests.arrivals import constant
from loadtests.client.target import Target
from loadtests.compare.cases import CASES
from loadtests.compare.load import Load
from loadtests.compare.results import Run
from loadtests.compare.session import SWITCHED, Session, cost
from loadtests.compare.sides import Side, configured
from loadtests.servers import Server

CASE = CASES[f"{SWITCHED}/http"]
SHARE = 0.3  # of the smallest capacity
BEGINS_S, ENDS_S = 4.0, 14.0


def measure(session: Session, side: Side, target: Target, server: Server | None, number: int) -> None:
    """From version 1 to 2 on one side; the last thing of a visit, for version 2 stays."""
    if not side.switchable:
        return
    rate = SHARE * min(session.capacities(CASE))
    switching = _Switching(session, side, server)
    run = session.run(_load(session, number, rate), target, server, switching.begun)
    switching.end(run, number)


@dataclass
class _Switching:
    """The switch, in a thread beside the load."""

    session: Session
    side: Side
    server: Server | None
    moments: dict[str, float] = field(default_factory=dict)
    problem: str = ""
    thread: threading.Thread | None = None

    def begun(self, begin: float) -> None:
        """The load has a beginning."""
        self.thread = threading.Thread(target=self._switch, args=(begin,))
        self.thread.start()

    def _switch(self, begin: float) -> None:
        time.sleep(max(0.0, begin + BEGINS_S - time.monotonic()))
        self.moments["asked"] = time.monotonic() - begin
        config = configured(self.session.options.config, self.session.models, versions={SWITCHED: "2"})
        try:
            self.side.switch(self.server, config, SWITCHED)
        except Exception as error:  # whatever it is belongs into the report
            self.problem = f"the switch failed: {error}"
        self.moments["taken"] = time.monotonic() - begin

    def end(self, run: Run, number: int) -> None:
        """Put it on record."""
        if self.thread:
            self.thread.join()
        run.moments = self.moments
        if self.problem:
            self.session.event(self.side.name, number, "switch", self.problem)


def _load(session: Session, number: int, rate: float) -> Load:
    options = session.options
    return Load(
        "switch",
        CASE,
        number,
        ENDS_S,
        profile=constant(rate, ENDS_S),
        rate=rate,
        warm_up=options.warm_up,
        arrivals=options.arrivals,
        every_version=True,
        processes=options.processes,
    )


def expected(session: Session) -> float:
    """Seconds."""
    sides = sum(side.switchable for side in session.sides)
    return session.options.rounds * sides * cost(_load(session, 0, 1))
