"""`python -m loadtests.bench --case echo-http --rounds 2`: measure, print ratios, write JSON."""

import argparse
import os
import platform
import signal
import time
from pathlib import Path

from loadtests.bench import report
from loadtests.bench.generators import tool
from loadtests.bench.points import CASES, chosen
from loadtests.bench.servers import SERVERS
from loadtests.bench.session import Results, Session


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m loadtests.bench", description=__doc__)
    parser.add_argument("--case", default="table", help=f"{', '.join(CASES)}; table, curves or all")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=4, help="of one measurement")
    parser.add_argument("--servers", default=",".join(SERVERS))
    parser.add_argument("--output", type=Path, default=Path("build/bench.json"))
    parser.add_argument("--report", type=Path, help="only print what such a file holds")
    given = parser.parse_args()
    if given.report:
        show(Results.load(given.report))
        return
    servers = given.servers.split(",")
    if unknown := [name for name in servers if name not in SERVERS]:
        raise SystemExit(f"no server {unknown[0]}; there are {', '.join(SERVERS)}")
    about: dict[str, object] = {
        "cores": os.cpu_count(),
        "python": platform.python_version(),
        "load": {"http": tool(grpc=False), "grpc": tool(grpc=True)},
        "seconds": given.seconds,
        "began": time.strftime("%Y-%m-%dT%H:%M:%S%z"),
    }
    # As Ctrl-C, or the server of the moment would go on; in the background a shell takes that away.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    session = Session(chosen(given.case), given.seconds, lambda text: print(f"  {text}", flush=True))
    failed = ""
    try:
        for number in range(given.rounds):
            print(f"round {number + 1} of {given.rounds}", flush=True)
            session.round(servers)
            session.results.save(given.output, about | {"rounds": number + 1})
    except KeyboardInterrupt:
        print("stopped; what was measured until now:")
    except RuntimeError as error:  # a server that doesn't start, or fails requests
        failed = str(error)
        print(f"{failed}; what was measured until then:")
    show(session.results)
    print(f"\nload from {about['load']}; raw figures in {given.output}")
    if failed:
        raise SystemExit(failed)


def show(results: Results) -> None:
    """All figures, then the ratios."""
    print("\nper second (least-most), latencies, the server's cores and memory, the client's cores")
    print(report.details(results))
    print(f"\n{report.ratios(results)}")


if __name__ == "__main__":
    main()
