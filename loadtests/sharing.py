"""`python -m loadtests.sharing`: what it costs to share a model's requests among its versions.

One server has the echo three times: as it is, shared by turns, and shared so that a user stays with a
version. All of them get the same requests, with a user in a header, again and again in turn. Compared
are answers per second, and processor seconds of the server for each, which other work on the machine
moves less.
"""

import argparse
import signal
import statistics
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from loadtests.bench.generators import send
from loadtests.bench.points import Point
from loadtests.bench.servers import with_models
from loadtests.requests import Request, echo
from loadtests.servers import Server
from serve_app.protocol.tensors import Arrays, Parameters

# More than a Router remembers, and in turn: each of them comes as if for the first time.
USERS = 20_000
ROUTING: dict[str, dict[str, Any]] = {
    "plain": {},
    "turns": {"weights": {"1": 90, "2": 10}},
    "users": {"weights": {"1": 90, "2": 10}, "sticky": {"header": "x-user"}},
}
# What is measured: the model, and by how many users.
KINDS = {
    "one user": {"as it is": ("plain", 1), "by turns": ("turns", 1), "sticky": ("users", 1)},
    "20,000 users": {
        "as it is": ("plain", USERS),
        "by turns": ("turns", USERS),
        "sticky": ("users", USERS),
    },
}
CONNECTIONS = 16


class Echo:
    """Gives back what it gets; of any version."""

    def load(self, folder: Path) -> None:
        """There is nothing in it."""

    async def predict(self, inputs: Arrays, parameters: Parameters) -> Arrays:
        """A coroutine, because a thread would cost more than the work."""
        return inputs


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m loadtests.sharing", description=__doc__)
    parser.add_argument("--rounds", type=int, default=8)
    parser.add_argument("--seconds", type=float, default=2, help="of one measurement")
    given = parser.parse_args()
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # or the server goes on
    found: dict[tuple[str, str], list[tuple[float, float]]] = {}
    with (
        tempfile.TemporaryDirectory(prefix="tandem-sharing-") as folder,
        Server("tandem", config(Path(folder)), list(ROUTING)) as server,
    ):
        server.settle()
        print(f"up after {time.time() - server.began:.0f} s", flush=True)
        for number in range(given.rounds):
            for whose, kinds in KINDS.items():
                # In another order each time: who comes first is no better off.
                names = [*kinds][number % len(kinds) :] + [*kinds][: number % len(kinds)]
                for name in names:
                    point = Point("sharing", name, asked(*kinds[name]), CONNECTIONS)
                    one = measured(server, point, given.seconds)
                    found.setdefault((whose, name), []).append(one)
                    print(f"  {whose}, {name}: {one[0]:,.0f} per second", flush=True)
            print(f"round {number + 1} of {given.rounds}", flush=True)
    for whose, kinds in KINDS.items():
        plain, *others = kinds
        rates = [rate for rate, _ in found[whose, plain]]
        print(f"\n{whose}, {plain}: {statistics.median(rates):,.0f} answers per second")
        for name in others:
            print(f"{whose}, {name}: {beside(found[whose, name], found[whose, plain])}")


@dataclass(frozen=True)
class Of(Request):
    """A user's request."""

    user: int = 0

    @property
    def headers(self) -> dict[str, str]:
        return {**super().headers, "X-User": f"user-{self.user}"}


def asked(model: str, users: int) -> tuple[Request, ...]:
    """The echo of so many users."""
    body = echo(model).body
    return tuple(Of(model, body, user=number) for number in range(users))


def measured(server: Server, point: Point, seconds: float) -> tuple[float, float]:
    """Answers per second, and the server's processor seconds for each."""
    cpu, began = server.cpu(), time.monotonic()
    sample = send(point, server.http_port, seconds)
    if sample.errors:
        raise SystemExit(f"{point.label}: {sample.errors} requests failed")
    sample.server_cpu = (server.cpu() - cpu) / (time.monotonic() - began)
    return sample.rate, sample.cpu_each


def beside(these: list[tuple[float, float]], those: list[tuple[float, float]]) -> str:
    """The ratios, round by round: the median, and the second from either end."""
    said = []
    for what, at in (("answers per second", 0), ("processor time for each", 1)):
        ratios = sorted(one[at] / other[at] for one, other in zip(these, those, strict=True))
        second = min(1, (len(ratios) - 1) // 2)
        low, high = ratios[second], ratios[-1 - second]
        said.append(f"{statistics.median(ratios):.3f} ({low:.3f} to {high:.3f}) of the {what}")
    return ", ".join(said)


def config(folder: Path) -> dict[str, Any]:
    """The echo under three names, each in two versions."""
    for version in ("1", "2"):
        (folder / version).mkdir()
    made = with_models(["identity"])
    user = made["applications"][0]["deployments"][0]["user_config"]
    model = {"modelFormat": "python", "class": "loadtests.sharing:Echo", "storageUri": str(folder)}
    user["models"] = [{"name": name, **model} for name in ROUTING]
    user["routing"] = {name: {"traffic": traffic} for name, traffic in ROUTING.items() if traffic}
    return made


if __name__ == "__main__":
    main()
