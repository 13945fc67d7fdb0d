"""What Ray and Serve raise when a replica is called, in our terms."""

from ray.exceptions import RayActorError, RayTaskError
from ray.serve.exceptions import BackPressureError, DeploymentUnavailableError

from serve_app.errors import Gone, ModelFailed, Overloaded, TandemError, Unavailable, kind_of


def translated(model: str, error: Exception) -> TandemError:
    """The error of a call to `model`: Ray's, Serve's, the replica's own, the transport's."""
    if isinstance(error, BackPressureError):
        return Overloaded(f"the replicas of model '{model}' are full; try again later")
    if isinstance(error, DeploymentUnavailableError):
        return Gone(f"model '{model}' has no replica that can answer")
    if isinstance(error, RayActorError):
        return Unavailable(f"a replica of model '{model}' died: {_first_line(error)}")
    cause = error.cause if isinstance(error, RayTaskError) else error
    if isinstance(cause, TandemError):
        return kind_of(cause)(str(cause))
    return ModelFailed(f"model '{model}' failed: {type(cause).__name__}: {_first_line(cause)}")


def _first_line(error: BaseException) -> str:
    return str(error).strip().partition("\n")[0]
