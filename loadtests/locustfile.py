"""Mixed traffic on the demo models over V2 (JSON, binary tensors, gRPC) and V1.

`make load` runs it without a browser; `locust -f loadtests/locustfile.py` opens locust's own page.
Name user classes to run only those: `make load ARGS=GrpcUser`. With MODEL in the environment
(`make load MODEL=my-model`) that model is asked alone, with its example, over V2. Load over time and
open loops: loadtests/shapes.py, as in `make load ARGS="--shape spike,rate=50 --open-loop poisson"`.
"""

import urllib.error
import urllib.request
from typing import Any

from locust import events

from loadtests import shapes  # noqa: F401 - its options, and the load over time
from loadtests.grpc_user import GrpcUser
from loadtests.http_users import BinaryUser, JsonUser, V1User
from loadtests.own_model import MODEL, NoExample, sample

__all__ = ["BinaryUser", "GrpcUser", "JsonUser", "V1User"]
if MODEL:
    del V1User  # not every model has rows


def _server_there(environment: Any, **_: Any) -> None:
    """Without a page to look at, a missing server ends the run at once, with a hint."""
    options = environment.parsed_options
    if options is None or not options.headless or options.worker:
        return
    url = f"{environment.host or JsonUser.host}/v2/health/ready"
    try:
        with urllib.request.urlopen(url, timeout=10):
            pass
    except urllib.error.HTTPError as error:
        raise SystemExit(f"{url} answered {error.code}: the server isn't ready") from None
    except OSError as error:
        raise SystemExit(f"no server at {url} ({error}); start one with: make run") from None
    if MODEL:
        try:
            sample(environment.host or JsonUser.host, MODEL)
        except NoExample as error:
            raise SystemExit(str(error)) from None


def _something_answered(environment: Any, **_: Any) -> None:
    """Locust calls a run without a single request a success."""
    if not environment.stats.total.num_requests and environment.process_exit_code is None:
        environment.process_exit_code = 1


events.init.add_listener(_server_there)
events.quitting.add_listener(_something_answered)
