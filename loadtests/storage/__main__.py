"""`python -m loadtests.storage [--faults 500] [--store azure]`: faults against the cache, figures."""

import argparse
import signal
import sys
import tempfile
from pathlib import Path

from loadtests.storage.azurite import command
from loadtests.storage.faults import LIMIT, SHARES, Campaign, Figures
from loadtests.storage.server import SCHEMES, Store


def main() -> int:
    """0: nothing wrong was loaded, nothing came twice, the limit held."""
    parser = argparse.ArgumentParser(prog="python -m loadtests.storage", description=__doc__)
    parser.add_argument("--faults", type=int, default=500)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--store", choices=[*SCHEMES], default="s3", help="azure: on Azurite")
    asked = parser.parse_args()
    if asked.store == "azure" and not command():
        parser.error("no azurite-blob here (npm install azurite); AZURITE names another command")
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    store = Store(asked.store)
    with tempfile.TemporaryDirectory() as folder:
        campaign = Campaign(store, Path(folder) / "cache", asked.seed)
        try:
            campaign.run(asked.faults, lambda said: print(said, file=sys.stderr, flush=True))
        except KeyboardInterrupt:
            print("It was ended before its end. Until then:\n")
        finally:
            store.close()
    figures = campaign.figures
    print(table(figures))
    return 1 if figures.wrong or figures.twice or figures.most > LIMIT else 0


def table(figures: Figures) -> str:
    """In Markdown."""
    lines = [
        "| fault | times | right loads | refused, with the reason | fetched twice |",
        "|---|---|---|---|---|",
    ]
    for kind in SHARES:
        row = [figures.trials, figures.right, figures.refused, figures.twice]
        lines.append(f"| {kind} | {' | '.join(str(one[kind]) for one in row)} |")
    sums = [one.total() for one in (figures.trials, figures.right, figures.refused, figures.twice)]
    lines += [
        f"| all | {' | '.join(map(str, sums))} |",
        "",
        f"Wrong loads: {len(figures.wrong)}. "
        f"The most that the cache held: {figures.most:,} of {LIMIT:,} bytes. "
        f"{figures.seconds:.0f} s.",
        *figures.wrong,
    ]
    return "\n".join(lines)


if __name__ == "__main__":
    sys.exit(main())
