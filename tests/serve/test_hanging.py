"""A model that hangs in its replica: refused with the reason, then another replica has its place."""

from pathlib import Path

import httpx
import pytest

from tests.serve.configs import python, remote, router, write
from tests.serve.live import ENV, until

pytestmark = pytest.mark.long  # Serve looks three times before it believes it

FINE, HANG = [[1.0, 2.0]], [[-1.0, 2.0]]


def test_both_kinds_go_on(tmp_path: Path, start_server) -> None:
    config = write(
        tmp_path / "config.yaml",
        router(python("Hangs", hangAfter=1), limits={"timeout": 2}),
        remote("far", "Hangs", hangAfter=1),
    )
    server = start_server(config, env=ENV)
    with server.http() as http:

        def asked(model: str, row: list[list[float]]) -> httpx.Response:
            tensor = {"name": "x", "datatype": "FP32", "shape": [1, 2], "data": row}
            return http.post(f"/v2/models/{model}/infer", json={"inputs": [tensor]})

        for model in ("hangs", "far"):
            assert asked(model, FINE).status_code == 200
            assert asked(model, HANG).status_code == 504
        # A thread in its place, at once.
        until(lambda: asked("hangs", FINE).status_code == 200, "another thread", 10)
        # A replica in its place. Until then the reason, where anybody answers.
        answers: list[httpx.Response] = []

        def again() -> bool:
            answers.append(asked("far", FINE))
            return answers[-1].status_code == 200

        until(again, "another replica", 120)
        assert {answer.status_code for answer in answers[1:]} <= {503, 504, 200}
        assert any("of its predictions hang" in answer.text for answer in answers)
        assert [asked("far", FINE).status_code for _ in range(10)] == [200] * 10
    assert "nobody waits for it any more" in server.text()
