"""Ray Serve's variables, of which the manifests and `tandem run` set some."""

from serve_app.internals.serve_variables import serve_variables
from serve_app.tools.run.environment import HIGH_THROUGHPUT


def test_names_are_found_where_serve_reads_them() -> None:
    known = serve_variables()
    assert {name for name in HIGH_THROUGHPUT if name.startswith("RAY_SERVE_")} <= known
    assert "RAY_SERVE_ENABLE_HA_PROXY" in known
    assert "RAY_SERVE_ENABLE_HAPROXY" not in known
    assert len(known) > 50
