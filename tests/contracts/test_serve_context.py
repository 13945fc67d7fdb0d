"""What Serve and Ray tell the process that asks."""

import inspect

from ray.runtime_context import RuntimeContext
from ray.serve._private.common import ReplicaID
from ray.serve.context import ReplicaContext, _set_request_context

from serve_app.internals.serve_context import deployment, in_replica
from tests.contracts.live import MOST


def test_app_name(live):
    assert live("context", "app") == "tandem"


def test_replica_id(live):
    assert live("context", "replica") is True


def test_deployment_config_max_ongoing_requests(live):
    assert live("context", "most") == MOST


def test_deployment_config_user_config():
    """What `first_user_config` reads; None where nothing was configured."""
    from ray.serve._private.config import DeploymentConfig

    given = {"limits": {"maxBodyBytes": 5}}
    config = DeploymentConfig(user_config=given)
    assert DeploymentConfig.from_proto_bytes(config.to_proto_bytes()).user_config == given


def test_user_config_of_a_replica(live):
    assert live("context", "user_config") is None


def test_the_adapter_of_a_request_can_be_set(live):
    assert live("context", "adapter") == "an-adapter"
    inspect.signature(_set_request_context).bind(multiplexed_model_id="a")


def test_names_of_a_replica_s_context():
    assert {"replica_id", "_deployment_config"} <= set(ReplicaContext.__dataclass_fields__)
    assert "unique_id" in ReplicaID.__dataclass_fields__
    assert isinstance(ReplicaContext.app_name, property)


def test_runtime_context_knows_of_accelerators():
    assert callable(RuntimeContext.get_accelerator_ids)


def test_a_replica_knows_its_deployment_s_object(live):
    inside, name = live("context", "ours")
    assert inside is True
    assert "Ingress" in name


def test_elsewhere_there_is_none():
    assert (in_replica(), deployment()) == (False, None)
