"""Which models the cluster serves: every Serve application that holds a ModelReplica is one,
under the application's name. Pure reading of Serve's status."""

from dataclasses import dataclass

from ray.serve.schema import ApplicationStatus, ReplicaState, ServeStatus

REPLICA = "ModelReplica"
TOKENIZER = "Tokenizer"


@dataclass(frozen=True, slots=True)
class RemoteApp:
    """One model application. `ingress` is the deployment to call; `stamp` changes with a deploy."""

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
        """It can't come up as it is, and nothing of it answers."""
        broken = (ApplicationStatus.DEPLOY_FAILED, ApplicationStatus.UNHEALTHY)
        return self.status in broken and not self.running


def remote_apps(status: ServeStatus) -> dict[str, RemoteApp]:
    """The model applications in a Serve status, those being deleted left out."""
    apps = {}
    for name, app in status.applications.items():
        replica = app.deployments.get(REPLICA)
        if replica is None or app.status == ApplicationStatus.DELETING:
            continue
        apps[name] = RemoteApp(
            name=name,
            ingress=TOKENIZER if TOKENIZER in app.deployments else REPLICA,
            status=app.status,
            message=app.message or replica.message,
            running=replica.replica_states.get(ReplicaState.RUNNING, 0),
            stamp=app.last_deployed_time_s,
        )
    return apps
