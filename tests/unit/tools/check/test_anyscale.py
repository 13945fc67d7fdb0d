"""Files for `anyscale service deploy`, in which Serve's applications stand among keys of its own.

The keys are those of Anyscale's documentation of a service ("ServiceConfig", 2026); Ray's own examples
come as such files.
"""

import pytest

SERVICE = """\
name: deploy-llama
image_uri: anyscale/ray-llm:2.54.0-py311-cu128
compute_config:
  auto_select_worker_config: true
working_dir: .
cloud:
applications:
  - import_path: serve_llama:app
"""


def test_one_sentence_says_whose_file_it_is(check):
    (found,) = check(SERVICE)
    assert found.startswith("1: ")
    assert "a service of Anyscale's, no Serve config" in found
    assert "name, image_uri, compute_config, working_dir and cloud are for `anyscale service" in found


def test_what_its_deploy_uploads_is_no_mistake(check):
    """`working_dir` and `py_modules` may be local, and bring the modules that aren't here."""
    env = "    runtime_env: {working_dir: ., py_modules: [./lib, 's3://bucket/lib.zip']}\n"
    assert len(check(SERVICE + env)) == 1
    (_, found) = check(SERVICE + env.replace("./lib", "lib: 1"))
    assert "py_modules" in found


@pytest.mark.parametrize(
    ("more", "place"),
    [
        ("    rout_prefix: /a\n", "applications[0].rout_prefix: unknown key; did you mean route_prefix"),
        ("    deployments: [{name: d, num_replicas: 0}]\n", "deployments[0].num_replicas"),
        ("http_option: {}\n", "http_option: unknown key; did you mean http_options?"),
    ],
)
def test_what_is_serves_in_it_is_checked(check, more, place):
    (_, found) = check(SERVICE + more)
    assert place in found


@pytest.mark.parametrize("key", ["name: a", "env_vars: {A: b}", "working_dir: .", "requirements: [a]"])
def test_a_key_that_may_only_be_in_the_wrong_place_is_said_as_one(check, key):
    (found,) = check(f"{key}\napplications:\n  - import_path: mine.app:build\n")
    assert f"{key.partition(':')[0]}: unknown key" in found


def test_its_keys_without_applications_make_no_serve_config(check):
    """A job of Anyscale's: `entrypoint` instead of `applications`."""
    (found,) = check("name: train\nimage_uri: a\ncompute_config:\nentrypoint: python train.py\n")
    assert "neither a Serve config nor a resource of Kubernetes" in found
