"""Serve is whole without pandas, which others may still import."""

import subprocess
import sys

PROGRAM = """
import sys
{first}
import ray.serve
from ray.serve._private import utils
there = "pandas" in sys.modules, "pyarrow" in sys.modules
import pandas
print(*there, pandas.DataFrame in utils.serve_encoders, pandas.__name__)
"""


def said(first: str) -> list[str]:
    program = PROGRAM.format(first=first)
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    return done.stdout.split()


def test_serve_takes_pandas_along() -> None:
    """Where it no longer does, there is nothing to be done."""
    assert said("") == ["True", "True", "True", "pandas"]


def test_serve_without_pandas() -> None:
    light = "from serve_app.internals.serve_imports import light; light()"
    assert said(light) == ["False", "False", "False", "pandas"]


def test_whoever_has_it_keeps_it() -> None:
    light = "import pandas; from serve_app.internals.serve_imports import light; light()"
    assert said(light) == ["True", "True", "True", "pandas"]
