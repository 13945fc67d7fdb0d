"""Handing a Serve config to Ray's dashboard."""

import inspect

from ray.dashboard.modules.serve.sdk import ServeSubmissionClient


def test_serve_submission_client():
    inspect.signature(ServeSubmissionClient).bind("http://127.0.0.1:8265")
    inspect.signature(ServeSubmissionClient.deploy_applications).bind(object(), {})
