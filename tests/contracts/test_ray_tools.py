"""What the command line and the local cluster use of Ray, beside its commands."""

import inspect

from ray._private import ray_constants, services
from ray.dashboard.modules.serve.sdk import ServeSubmissionClient


def test_serve_submission_client():
    inspect.signature(ServeSubmissionClient).bind("http://127.0.0.1:8265")
    inspect.signature(ServeSubmissionClient.deploy_applications).bind(object(), {})


def test_a_worker_s_head_is_looked_up_by_a_function_that_can_be_replaced():
    """RAY_START_HOOK does it; Ray calls it by its name in this module."""
    assert list(inspect.signature(services.resolve_ip_for_localhost).parameters) == ["host"]
    callers = [name for name, function in vars(services).items() if _calls(function)]
    assert callers, "nothing in the module calls it any more"


def _calls(function: object) -> bool:
    code = getattr(function, "__code__", None)
    return code is not None and "resolve_ip_for_localhost" in code.co_names


def test_names_of_hooks():
    assert ray_constants.RAY_START_HOOK == "RAY_START_HOOK"
    hook = "__RAY_WORKER_PROCESS_SETUP_HOOK_ENV_VAR"
    assert hook == ray_constants.WORKER_PROCESS_SETUP_HOOK_ENV_VAR
