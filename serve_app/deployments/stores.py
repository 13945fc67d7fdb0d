"""Where an application's desired state is kept."""

from serve_app.config import Admin
from serve_app.internals.gcs_kv import GcsKeys
from serve_app.releases.store import Store, store_at


def store_of(admin: Admin, application: str) -> Store:
    """As `admin.stateUri` says, else Ray's GCS."""
    return store_at(admin.state_uri) if admin.state_uri else GcsKeys(application)
