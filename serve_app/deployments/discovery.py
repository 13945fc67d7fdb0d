"""Which models the cluster serves: every Serve application that holds a ModelReplica is one,
under the application's name. Pure reading of Serve's status."""

from dataclasses import dataclass

from ray.serve.schema import ApplicationStatus, ReplicaState, ServeStatus

REPLICA = "ModelReplica"
TOKENIZER = "Tokenizer"


@dataclass(frozen=True, slots=True)
class RemoteApp:
    """One application. `stamp` changes with a deploy.

    `ingress` is the deployment to call; '' while Serve still builds the application and doesn't
    say what is in it.
    """

    name: str
    ingress: str
    status: ApplicationStatus
    message: str
    running: int
    stamp: float

    @property
    def settled(self) -> bool:
        """Deployed and not changing: what it says of itself now will hold."""
        return bool(self.status == ApplicationStatus.RUNNING)

    @property
    def failed(self) -> bool:
        """Its last deployment failed and nothing of it answers."""
        return self.status == ApplicationStatus.DEPLOY_FAILED and not self.running

    @property
    def down(self) -> bool:
        """Its replicas died; Serve is starting new ones."""
        return self.status == ApplicationStatus.UNHEALTHY and not self.running


def remote_apps(status: ServeStatus) -> dict[str, RemoteApp]:
    """The applications that are or may be models, those being deleted left out."""
    apps = {}
    for name, app in status.applications.items():
        replica = app.deployments.get(REPLICA)
        if app.status == ApplicationStatus.DELETING or (app.deployments and not replica):
            continue
        ingress = TOKENIZER if TOKENIZER in app.deployments else REPLICA
        apps[name] = RemoteApp(
            name=name,
            ingress=ingress if replica else "",
            status=app.status,
            message=cause(replica.message if replica and replica.message else app.message),
            running=replica.replica_states.get(ReplicaState.RUNNING, 0) if replica else 0,
            stamp=app.last_deployed_time_s,
        )
    return apps


def cause(message: str) -> str:
    """The root of a status message: the last line of the traceback it ends with."""
    lines = [line.strip() for line in message.splitlines() if line.strip()]
    return lines[-1].removeprefix("serve_app.errors.").removeprefix("ConfigError: ") if lines else ""
