"""schemathesis, as anybody would run it, against a live server and its `/openapi.json`."""

import subprocess
import sys
from pathlib import Path

import pytest

from tests.server import MODES, Server, Setup


@pytest.mark.long  # tests/unit/ingress/test_openapi.py has the same without a server
@pytest.mark.parametrize("server", [Setup(MODES[0])], ids=str, indirect=True)
def test_schemathesis_finds_nothing(server: Server, tmp_path: Path) -> None:
    """No valid request is refused, and nothing comes that isn't documented."""
    run = "from schemathesis.cli import schemathesis; schemathesis()"
    command = [sys.executable, "-c", run, "run", f"{server.url}/openapi.json", "--no-color"]
    options = ["--seed", "7", "--max-examples", "5", "--phases", "examples,coverage,fuzzing"]
    # It takes more than a schema can say: any number of rows.
    options += ["--exclude-checks", "negative_data_rejection"]
    done = subprocess.run(
        [*command, *options], cwd=tmp_path, capture_output=True, text=True, timeout=400
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "Tested" in done.stdout
