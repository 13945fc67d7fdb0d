"""The composition root: arguments to Serve deployments, without a cluster."""

import pytest

from serve_app.app import build_model, build_router
from serve_app.errors import ConfigError

PYTHON = {"modelFormat": "python", "class": "serve_app.demo.identity:Identity"}
TEXT = {"modelFormat": "transformers", "storageUri": "x", "options": {"task": "embedding"}}


def deployment(application):
    return application._bound_deployment


def test_the_router_takes_its_limit():
    router = deployment(build_router({"maxOngoingRequests": 7}))
    assert (router.name, router.max_ongoing_requests) == ("Router", 7)
    assert router._deployment_config.max_queued_requests == 7  # by Serve's way, else without bound
    assert router.user_config == {}


def test_a_model_gets_its_share_and_one_batch_in_waiting():
    resources = {"num_cpus": 0.25, "num_gpus": 0.5}
    replica = deployment(
        build_model({**PYTHON, "resources": resources, "concurrency": 3, "replicas": 2})
    )
    assert replica.name == "ModelReplica"
    assert replica.num_replicas == 2
    assert replica.max_ongoing_requests == 4
    options = replica.ray_actor_options
    assert (options["num_cpus"], options["num_gpus"]) == (0.25, 0.5)


def test_autoscaling_from_zero():
    scale = {"minReplicas": 0, "maxReplicas": 5, "scaleTarget": 1.5}
    config = deployment(
        build_model({**PYTHON, "autoscaling": scale})
    )._deployment_config.autoscaling_config
    assert (config.min_replicas, config.max_replicas) == (0, 5)
    assert config.target_ongoing_requests == 1.5


def test_a_text_model_has_a_tokenizer_before_it():
    tokenizer = deployment(build_model({**TEXT, "tokenizer": {"replicas": 3, "num_cpus": 0.5}}))
    assert (tokenizer.name, tokenizer.num_replicas) == ("Tokenizer", 3)
    assert tokenizer.ray_actor_options["num_cpus"] == 0.5
    assert deployment(tokenizer.init_args[1]).name == "ModelReplica"


def test_without_tokenizer_replicas_the_model_takes_texts_itself():
    replica = deployment(build_model({**TEXT, "tokenizer": {"replicas": 0}, "replicas": 2}))
    assert (replica.name, replica.num_replicas) == ("ModelReplica", 2)
    assert replica.init_args == ({**TEXT, "tokenizer": {"replicas": 0}, "replicas": 2},)


def test_new_replicas_come_before_old_ones_go():
    scale = {"autoscaling": {"maxReplicas": 2}}
    tokenizer = deployment(build_model(TEXT))
    for one in (
        deployment(build_router({})),
        deployment(build_model(PYTHON)),
        deployment(build_model({**PYTHON, **scale})),
        tokenizer,
        deployment(tokenizer.init_args[1]),
    ):
        assert one._deployment_config.max_surge_percent > 0, one.name


@pytest.mark.parametrize(
    ("build", "args", "says"),
    [
        (build_router, {"maxOngoingRequest": 5}, "did you mean maxOngoingRequests?"),
        (build_model, {**PYTHON, "replica": 2}, "did you mean replicas?"),
        (build_model, {**PYTHON, "replicas": 0}, "nothing could ever answer"),
        (build_model, {**PYTHON, "placement": "inline"}, "not an application of its own"),
        (build_model, {**TEXT, "tokenizer": {"replicas": -1}}, "tokenizer.replicas"),
    ],
)
def test_wrong_arguments_are_refused_with_the_reason(build, args, says):
    with pytest.raises(ConfigError) as refused:
        build(args)
    assert says in str(refused.value)


def test_a_router_without_admin_has_no_steward():
    assert deployment(build_router({})).init_args == ()


def test_with_it_one_steward_that_takes_no_cpu_is_beside_it():
    router = deployment(build_router({"admin": {"pollInterval": 5}}))
    admin, steward = router.init_args
    assert admin == {"pollInterval": 5}
    made = deployment(steward)
    assert (made.name, made.num_replicas, made.ray_actor_options["num_cpus"]) == ("Steward", 1, 0)
    assert made.init_args == ({"pollInterval": 5},)
    with pytest.raises(ConfigError, match=r"admin\.tokn: unknown key"):
        build_router({"admin": {"tokn": "x"}})


@pytest.mark.parametrize(
    ("admin", "word"),
    [
        ({"header": "Authorization"}, "header"), ({"header": "a b"}, "header"),
        ({"timeout": 0}, "timeout"),
        ({"allow": {"classes": ["os system"]}}, "ClassName"), ({"maxUploadBytes": -1}, "maxUploadBytes"),
        ({"pollInterval": -1}, "pollInterval"), ({"webhook": {"secret": "x"}}, "unknown key"),
    ],
)  # fmt: skip
def test_what_is_wrong_in_it_is_named(admin, word):
    with pytest.raises(ConfigError, match=word):
        build_router({"admin": admin})
