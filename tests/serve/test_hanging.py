"""Models that hang: another thread or replica takes their place, and nobody waits for one that doesn't
load. Each case prints what docs/operations.md has in its table.
"""

import time
from pathlib import Path

import httpx
import pytest

from tests.serve.configs import python, remote, router, write
from tests.serve.live import ENV, Traffic, column, deploy, index, until

pytestmark = pytest.mark.long  # Serve looks three times before it believes it

FINE, HANG = [[1.0, 2.0]], [[-1.0, 2.0]]


def test_both_kinds_go_on(tmp_path: Path, start_server) -> None:
    config = write(
        tmp_path / "config.yaml",
        router(python("Hangs", hangAfter=1), limits={"timeout": 2}),
        remote("far", "Hangs", hangAfter=1),
        remote("quiet", "Slow", options={"seconds": 0.002}),
    )
    server = start_server(config, env=ENV)
    beside = Traffic(server, ("/v2/models/quiet/infer", column(1.0)), threads=1)
    with server.http() as http, beside:

        def asked(model: str, row: list[list[float]]) -> httpx.Response:
            tensor = {"name": "x", "datatype": "FP32", "shape": [1, 2], "data": row}
            return http.post(f"/v2/models/{model}/infer", json={"inputs": [tensor]})

        for model in ("hangs", "far"):
            assert asked(model, FINE).status_code == 200
            assert asked(model, HANG).status_code == 504
        began = time.monotonic()
        # A thread in its place, at once.
        until(lambda: asked("hangs", FINE).status_code == 200, "another thread", 10)
        here = time.monotonic() - began
        # A replica in its place. Until then the reason, where anybody answers.
        answers: list[httpx.Response] = []

        def again() -> bool:
            answers.append(asked("far", FINE))
            return answers[-1].status_code == 200

        until(again, "another replica", 120)
        there = time.monotonic() - began
        assert {answer.status_code for answer in answers[1:]} <= {503, 504, 200}
        assert any("of its predictions hang" in answer.text for answer in answers)
        assert [asked("far", FINE).status_code for _ in range(10)] == [200] * 10
    print(
        f"\nhangs: another thread after {here:.1f} s, another replica after {there:.1f} s "
        f"({len(answers) - 1} refused meanwhile); beside: {beside.answered} answered, "
        f"{len(beside.failures)} lost"
    )
    assert not beside.failures
    assert "nobody waits for it any more" in server.text()


def test_one_that_never_loads_holds_nobody_up(tmp_path: Path, start_server) -> None:
    """The first of three, as a Router starts, and as a deploy adds it to one that runs."""
    quick = python("Slow", options={"seconds": 0.002})
    quiet = {**quick, "name": "quiet"}
    never = python("NeverLoads", loadTimeout=3)
    server = start_server(
        write(tmp_path / "first.yaml", router(never, quiet, python("Pid"))), env=ENV, settled=False
    )
    with server.http() as http:

        def answers(model: str) -> int:
            return http.post(f"/v2/models/{model}/infer", json=column(1.0)).status_code

        until(lambda: (answers("quiet"), answers("pid")) == (200, 200), "the models behind it", 60)
        until(lambda: "loadTimeout" in index(http)["neverloads"], "why it isn't")
        assert answers("neverloads") == 503
        more = write(
            tmp_path / "more.yaml",
            router({**never, "name": "another", "revision": "2"}, quiet, quick),
        )
        began = time.monotonic()
        with Traffic(server, ("/v2/models/quiet/infer", column(1.0)), threads=1) as beside:
            deploy(server, more)
            until(lambda: answers("slow") == 200, "the model behind the other", 60)
            until(lambda: "loadTimeout" in index(http).get("another", ""), "its reason", 60)
        print(
            f"\nnever loads: the one behind it answers within {time.monotonic() - began:.1f} s of its "
            f"deploy; beside: {beside.answered} answered, {len(beside.failures)} lost"
        )
        assert not beside.failures
        assert set(index(http)) == {"another", "quiet", "slow"}
        # A class that loads is taken at once.
        deploy(server, write(tmp_path / "good.yaml", router({**quick, "name": "another"})))
        until(lambda: answers("another") == 200, "the one in its place", 60)
