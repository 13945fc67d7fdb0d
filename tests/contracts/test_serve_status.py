"""What Serve's controller says of its applications, in its own words."""

import inspect

from ray.serve._private import constants
from ray.serve._private.common import DeploymentID, ReplicaID, RunningReplicaInfo
from ray.serve._private.config import DeploymentConfig
from ray.serve._private.controller import ServeController
from ray.serve.context import _get_global_client
from ray.serve.schema import ApplicationStatus, ReplicaState

from serve_app.config import NEW_FIRST
from serve_app.releases.applications import remote_apps
from tests.contracts.inside import MODEL

# Those that tell what happens to requests.
KNOWN = {"RUNNING", "DEPLOY_FAILED", "UNHEALTHY", "DELETING", "DEPLOYING", "NOT_STARTED"}


def test_an_application(live):
    app = live("status", "applications", MODEL)
    assert app["status"] == "RUNNING"
    assert app["message"] == ""
    assert app["last_deployed_time_s"] > 0


def test_a_deployment_and_its_replicas(live):
    deployment = live("status", "applications", MODEL, "deployments", "Model")
    assert deployment["message"] == ""
    (replica,) = deployment["replicas"]
    assert replica["state"] == "RUNNING"


def test_what_we_read_of_it(live):
    """The model's deployment here isn't called as ours are, so it is no model of ours."""
    applications = live("status", "applications")
    assert set(applications) == {MODEL, "tandem"}
    assert remote_apps(applications) == {}
    deployment = applications[MODEL]["deployments"].pop("Model")
    applications[MODEL]["deployments"]["ModelReplica"] = deployment
    (app,) = remote_apps({MODEL: applications[MODEL]}).values()
    assert app.settled
    assert app.running == 1
    assert app.message == ""


def test_names_of_states():
    assert {one.value for one in ApplicationStatus} >= KNOWN
    assert "RUNNING" in {one.value for one in ReplicaState}


def test_how_the_controller_is_asked():
    inspect.signature(_get_global_client).bind()


def test_replicas_of_what_is_built_anew():
    """The controller doesn't name their deployments then, but it knows them."""
    assert inspect.isfunction(ServeController._all_running_replicas)
    one = ReplicaID("r", deployment_id=DeploymentID(name="d", app_name="a"))
    assert (one.unique_id, one.deployment_id.name, one.deployment_id.app_name) == ("r", "d", "a")
    assert "replica_id" in inspect.signature(RunningReplicaInfo).parameters


def test_new_replicas_come_first_and_old_ones_stay_where_they_fail():
    assert DeploymentConfig(max_surge_percent=NEW_FIRST).max_surge_percent == NEW_FIRST
    assert constants.RAY_SERVE_STOP_FAILED_ROLLING_UPDATES
