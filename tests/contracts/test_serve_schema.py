"""Serve's own schemas, from a Serve that took no pandas along."""

import subprocess
import sys

from ray.serve import schema

from serve_app.internals import serve_schema

PROGRAM = """
import sys
from serve_app.internals import serve_schema
print("pandas" in sys.modules, "pyarrow" in sys.modules, "ray.serve" in sys.modules)
"""


def test_they_come_without_pandas() -> None:
    done = subprocess.run([sys.executable, "-c", PROGRAM], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["False", "False", "True"]


def test_they_are_serves() -> None:
    assert serve_schema.ServeDeploySchema is schema.ServeDeploySchema
    assert serve_schema.ServeApplicationSchema is schema.ServeApplicationSchema
    assert serve_schema.RayActorOptionsSchema is schema.RayActorOptionsSchema
