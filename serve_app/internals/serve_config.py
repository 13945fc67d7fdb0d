"""Handing a Serve config to Ray's dashboard."""

from typing import Any


def deploy(dashboard: str, config: dict[str, Any]) -> None:
    """Give it to the dashboard at a URL, with Ray's own token; an error when Serve refuses it."""
    from ray.dashboard.modules.serve.sdk import ServeSubmissionClient

    ServeSubmissionClient(dashboard).deploy_applications(config)
