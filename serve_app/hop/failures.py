"""What Ray and Serve raise when a replica is called, in our terms."""

from ray.exceptions import RayActorError, RayTaskError
from ray.serve.exceptions import BackPressureError, DeploymentUnavailableError

from serve_app.errors import Gone, Overloaded, TandemError, Unavailable, copied, raised


def translated(model: str, error: Exception) -> TandemError:
    """The error of a call to `model`: Ray's, Serve's, the replica's own, the transport's."""
    if isinstance(error, BackPressureError):
        return Overloaded(f"the replicas of model '{model}' are full; try again later")
    if isinstance(error, DeploymentUnavailableError):
        return Gone(f"model '{model}' has no replica that can answer")
    if isinstance(error, RayActorError):
        return Unavailable(f"a replica of model '{model}' died: {first_line(error)}")
    cause = error.cause if isinstance(error, RayTaskError) else error
    if isinstance(cause, TandemError):
        return copied(cause)
    return raised(f"model '{model}' failed:", cause)


def first_line(error: BaseException) -> str:
    """Of its message: Ray's have a whole traceback."""
    return str(error).strip().partition("\n")[0]
