"""Run the proofs and say what clients noticed. Exit code 1 when a request failed that must not."""

import argparse
import sys
import time
from dataclasses import dataclass

from loadtests.proofs.events import EVENTS, Event
from loadtests.proofs.local import Local, settled
from loadtests.proofs.manifest import WORKERS, manifest
from loadtests.proofs.steady import Steady, Stream

_PAUSE_S = 3  # of load before it begins


@dataclass(frozen=True)
class Finding:
    """What one event did to the stream around it."""

    event: Event
    seen: str
    sent: int
    failed: int
    after: int  # failures of requests that were sent after it began, and its gap: none may be
    recovery: float  # seconds from its beginning to the end of the last failure; 0 without one
    longest: float  # seconds
    errors: dict[str, int]

    @property
    def holds(self) -> bool:
        """No failure; where something dies, none of a request sent later than that."""
        return not (self.failed if self.event.lossless else self.after)

    def __str__(self) -> str:
        lines = [
            f"{'ok  ' if self.holds else 'LOST'} {self.event.title}: {self.failed} of {self.sent} "
            f"requests failed, the longest answer took {self.longest * 1000:.0f} ms; {self.seen}"
        ]
        if self.failed:
            lines.append(
                f"     {self.after} of them sent later, the last ended {self.recovery:.2f} s later"
            )
            lines += [f"     {count} x {text}" for text, count in self.errors.items()]
        return "\n".join(lines)


def prove(event: Event, count: int) -> Finding:
    """One event, on a service of its own, in a stream of `count` requests or a few more."""
    service = manifest()
    with Local(service) as local:
        local.until(lambda state: settled(state, WORKERS), f"{WORKERS} workers that serve")
        steady = Steady(local.target, count, max(event.least_seconds, count / 250))
        steady.start()
        time.sleep(_PAUSE_S)
        began, seen = event.run(local, service)
        return _finding(event, seen, began, steady.wait())


def _finding(event: Event, seen: str, began: float, stream: Stream) -> Finding:
    lost = stream.failed
    return Finding(
        event,
        seen,
        sent=len(lost),
        failed=int(lost.sum()),
        after=int((lost & (stream.sent > began + event.gap)).sum()),
        recovery=float(stream.done[lost].max() - began) if lost.any() else 0.0,
        longest=stream.longest,
        errors=stream.errors,
    )


def main() -> int:
    """All of them, or those named."""
    parser = argparse.ArgumentParser(prog="python -m loadtests.proofs", description=__doc__)
    names = f"{{{','.join(EVENTS)}}}"
    parser.add_argument("events", nargs="*", choices=[[], *EVENTS], default=[], metavar=names)
    parser.add_argument("--requests", type=int, default=10_000, help="in each stream (10000)")
    given = parser.parse_args()
    findings = []
    for name in given.events or EVENTS:
        findings.append(prove(EVENTS[name], given.requests))
        print(findings[-1], flush=True)
    return 0 if all(finding.holds for finding in findings) else 1


if __name__ == "__main__":
    sys.exit(main())
