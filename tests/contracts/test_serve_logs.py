"""What Serve does to a replica's output, and that it is heard all the same.

Serve changes a process for good, so each test has one of its own; it ends without the flush that an
orderly end brings: what wasn't written at once is lost.
"""

import inspect
import os
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest
from ray.serve._private import logging_utils, replica

ROOT = Path(__file__).parents[2]
MODES = {"high-throughput": "1", "default": "0"}

AS_SERVE = """
    import logging, os, sys, threading, warnings
    from ray.serve._private import logging_utils, replica
    from ray.serve._private.common import ServeComponentType
    from ray.serve._private.constants import RAY_SERVE_REQUEST_PATH_LOG_BUFFER_SIZE
    from ray.serve.schema import LoggingConfig

    def configure(**config):
        replica.configure_component_logger(
            component_type=ServeComponentType.REPLICA, component_name="app_Model", component_id="id1",
            logging_config=LoggingConfig(logs_dir=sys.argv[1], enable_access_log=False, **config),
            buffer_size=RAY_SERVE_REQUEST_PATH_LOG_BUFFER_SIZE, max_bytes=10**6, backup_count=1,
        )

    configure()
"""

USER = """
    print("by print")
    print("by stderr", file=sys.stderr)
    sys.stdout.write("by stdout\\n")
    log = logging.getLogger("user")
    log.debug("by debug")
    log.info("by info")
    logging.warning("by the root")
    logging.getLogger("ray.serve").info("by serve")
    logging.getLogger("tandem").info("by tandem")
    warnings.warn("by warnings")
    thread = threading.Thread(target=lambda: {}["by thread"])
    thread.start(); thread.join()
    try:
        raise ValueError("by raising")
    except ValueError:
        log.exception("it failed")
    logging.getLogger("tandem").error("by a name: %s", b"caf\\xe9".decode(errors="surrogateescape"))
    print("by half a pair \\udce9", file=sys.stderr)
    os._exit(0)
"""
HEARD = [
    "by print", "by stderr", "by stdout", "by info", "by the root", "by serve", "by tandem",
    "by warnings", "KeyError: 'by thread'", "it failed", "Traceback (most recent call last)",
    "ValueError: by raising", r"by a name: caf\udce9", r"by half a pair \udce9",
]  # fmt: skip

OURS = """
    from serve_app.observability.output import heard
    with heard():
        pass
"""


def ran(folder: Path, mode: str, *parts: str) -> tuple[str, str]:
    """What came out of the process, and what is in the replica's log."""
    script = "".join(map(textwrap.dedent, parts))
    env = {**os.environ, "PYTHONPATH": str(ROOT), "RAY_SERVE_THROUGHPUT_OPTIMIZED": MODES[mode]}
    done = subprocess.run(
        [sys.executable, "-u", "-c", script, str(folder)],
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, env=env, cwd=folder, timeout=60,
        check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout
    (file,) = folder.glob("*.log")
    return done.stdout, file.read_text()


def test_without_us_serve_keeps_it_all_to_itself(tmp_path):
    """The reason for all this: when it fails, look whether it is still needed."""
    shown, kept = ran(tmp_path, "high-throughput", AS_SERVE, USER)
    assert "by print" not in shown
    assert "by print" not in kept


@pytest.mark.parametrize("mode", MODES)
def test_whatever_user_code_writes_is_in_the_terminal_and_in_the_log(tmp_path, mode):
    shown, kept = ran(tmp_path, mode, AS_SERVE, OURS, USER)
    for text in HEARD:
        assert shown.count(text) == kept.count(text) > 0, text
        if "Traceback" not in text:
            assert shown.count(text) == 1, shown
    assert "by debug" not in shown + kept


@pytest.mark.parametrize("mode", MODES)
def test_also_after_serve_has_configured_its_log_anew(tmp_path, mode):
    """As it does when a deploy changes `logging_config`."""
    anew = "\nconfigure(log_level='DEBUG', encoding='JSON')\n"
    shown, kept = ran(tmp_path, mode, AS_SERVE, OURS, anew, USER)
    for text in [*HEARD, "by debug"]:
        assert text in shown, text
        assert text in kept, text
    for text in ("by print", "by serve", "by tandem", "by info"):
        assert (shown.count(text), kept.count(text)) == (1, 1), text
    assert '"message": "by info"' in kept
    assert '"message": "by info"' in shown


BASIC = "logging.basicConfig(level='DEBUG', format='mine: %(message)s')"
DICT = """
    import logging.config
    logging.config.dictConfig({
        "version": 1, "disable_existing_loggers": False,
        "formatters": {"f": {"format": "mine: %(message)s"}},
        "handlers": {"h": {"class": "logging.StreamHandler", "formatter": "f"}},
        "root": {"level": "DEBUG", "handlers": ["h"]},
    })
"""


@pytest.mark.parametrize("own", [BASIC, DICT], ids=["basicConfig", "dictConfig"])
def test_a_users_own_configuration_of_logging_counts(tmp_path, own):
    shown, kept = ran(tmp_path, "high-throughput", AS_SERVE, OURS, f"\n{own}\n", USER)
    for text in ("mine: by debug", "mine: by info", "by tandem", "by print"):
        assert shown.count(text) == 1, shown
        assert kept.count(text) == 1, kept


def test_names_and_what_they_take():
    assert callable(logging_utils.buildin_print)
    assert replica.configure_component_logger is logging_utils.configure_component_logger
    stream = logging_utils.StreamToLogger(None, 20, sys.stderr)
    assert stream._original_object is sys.stderr
    assert inspect.signature(replica.configure_component_logger).parameters["buffer_size"].kind.name == (
        "KEYWORD_ONLY"
    )
