"""Where a Ray's dashboard is."""


def dashboard_of(address: str) -> str:
    """The URL of the dashboard of the Ray at `address`, which is written as for RAY_ADDRESS."""
    from ray.dashboard.utils import get_address_for_submission_client  # seconds

    return str(get_address_for_submission_client(address))
