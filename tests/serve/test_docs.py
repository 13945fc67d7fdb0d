"""The Python programs of README.md and docs/clients.md, run as they stand, and what they print."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.server import MODES, ROOT, Server, Setup

PROGRAMS = [
    pytest.param(program, printed, id=f"{path.stem}-{number}")
    for path in (ROOT / "README.md", ROOT / "docs/clients.md")
    for number, (program, printed) in enumerate(
        re.findall(r"```python\n(.*?)```\n```\n(.*?)```", path.read_text(), re.DOTALL)
    )
]

pytestmark = pytest.mark.parametrize("server", [Setup(MODES[0])], indirect=True, ids=str)


@pytest.mark.parametrize(("program", "printed"), PROGRAMS)
def test_a_program_prints_what_the_page_says(
    server: Server, program: str, printed: str, tmp_path: Path
) -> None:
    program = program.replace("127.0.0.1:8000", f"127.0.0.1:{server.http_port}")
    (tmp_path / "program.py").write_text(program.replace("127.0.0.1:9000", server.grpc))
    done = subprocess.run(
        [sys.executable, "-W", "ignore", str(tmp_path / "program.py")],
        cwd=ROOT,
        env={"PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout == printed
    assert len(PROGRAMS) == 5
