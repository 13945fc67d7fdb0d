"""`python -m loadtests.compare`: two or more sides, measured in turn, and one report of it.

A side is `tandem`, `kserve` or `kserve-tuned`, which are started here (`again=tandem` starts another
one under another name), or the address of one that runs: `name=https://host,grpc=host:443,host=...`.
"""

import signal
import sys
from pathlib import Path

from loadtests.client.run import ClientError
from loadtests.client.target import TargetError
from loadtests.compare import schedule
from loadtests.compare.arguments import options_of, parser
from loadtests.compare.checks import Incomparable
from loadtests.compare.conditions import conditions
from loadtests.compare.options import Options
from loadtests.compare.progress import Steps, minutes
from loadtests.compare.results import Results
from loadtests.compare.session import Session
from loadtests.compare.writing import write


def main() -> None:
    given = parser(str(__doc__)).parse_args()
    try:
        if given.report:
            _show(write(Results.load(given.report), given.report.parent))
            return
        options = options_of(given)
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


if __name__ == "__main__":
    main()
