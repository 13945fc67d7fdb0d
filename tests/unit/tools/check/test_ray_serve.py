"""A Serve config that Ray refuses, drops parts of or stumbles over; and what it takes."""

from pathlib import Path

import pytest

from serve_app.tools.check.verdict import check as verdict

CONFIG = """\
applications:
  - name: a
    import_path: mine.app:app
    {app}
    deployments:
      - name: d
        {deployment}
"""


def config(deployment: str = "num_replicas: 1", app: str = "route_prefix: /a") -> str:
    return CONFIG.format(deployment=deployment, app=app)


# What the installed Ray 2.60 says when it deploys such a config (ray.serve.schema, ray.serve.config,
# ray.runtime_env, ray.serve.deployment); the place is under the deployment.
REFUSED = [
    ("autoscaling_config: {min_replicas: 3, max_replicas: 2}", "autoscaling_config", "must be greater"),
    ("autoscaling_config: {min_replicas: 3}", "autoscaling_config", "max_replicas (1) must be"),
    ("autoscaling_config: {initial_replicas: 3, max_replicas: 2}", "autoscaling_config", "initial"),
    ("autoscaling_config: {min_replicas: many}", "autoscaling_config.min_replicas", "valid integer"),
    ("autoscaling_config: {max_replicas: 0}", "autoscaling_config.max_replicas", "greater than 0"),
    ("autoscaling_config: {aggregation_function: median}", "autoscaling_config.aggregation_function",
     "median"),
    ("autoscaling_config: {policy: 'mine:f'}", "autoscaling_config.policy", "expected a mapping"),
    ("autoscaling_config: {policy: {policy_function: 'mine:f:g'}}",
     "autoscaling_config.policy.policy_function", "no import path"),
    ("autoscaling_config: {policy: {policy_function: f}}", "autoscaling_config.policy.policy_function",
     "no import path"),
    ("autoscaling_config: {policy: {policy_function: 'serve_app.app:none'}}",
     "autoscaling_config.policy.policy_function", "in this Tandem"),
    ("autoscaling_config: {policy: {function: 'mine:f'}}", "autoscaling_config.policy.function",
     "unknown key"),
    ("request_router_config: {request_router_class: 'mine:'}",
     "request_router_config.request_router_class", "no import path"),
    ("request_router_config: {initial_backoff_s: -1}", "request_router_config.initial_backoff_s",
     "greater than 0"),
    ("gang_scheduling_config: {gang_size: 0}", "gang_scheduling_config.gang_size",
     "greater than or equal to 1"),
    ("gang_scheduling_config: {gang_size: 2, runtime_failure_policy: RESTART_REPLICA}",
     "gang_scheduling_config.runtime_failure_policy", "not yet implemented"),
    ("deployment_actors: [{name: x}]", "deployment_actors[0].actor_class", "required"),
    ("deployment_actors: [{name: x, actor_class: 'm:A'}, {name: x, actor_class: 'm:B'}]",
     "deployment_actors", "unique names"),
    ("max_replicas_per_node: 0", "max_replicas_per_node", "[1, 100]"),
    ("num_replicas: '3'", "", "int or"),
    ("num_replicas: 0", "num_replicas", "greater than 0"),
    ("num_replicas: -1", "num_replicas", "greater than 0"),
    ("ray_actor_options: {runtime_env: {pip: [a], conda: file.yml}}",
     "ray_actor_options.runtime_env", "pip and conda exclude each other"),
    ("ray_actor_options: {runtime_env: {uv: [a], pip: requirements.txt}}",
     "ray_actor_options.runtime_env", "pip and uv exclude each other"),
    ("placement_group_strategy: PACKED", "placement_group_bundles", "PACKED"),
    ("placement_group_bundles: [{CPU: 1}]\n        ray_actor_options: {num_cpus: 2}",
     "placement_group_bundles", "num_cpus"),
    ("ray_actor_options: {resources: {CPU: 1}}", "ray_actor_options", "CPU"),
    ("ray_actor_options: {runtime_env: {env_vars: {A: false}}}",
     "ray_actor_options.runtime_env.env_vars.A", "bool"),
    ("ray_actor_options: {runtime_env: {env_vars: [A]}}", "ray_actor_options.runtime_env.env_vars",
     "Dict[str, str]"),
    ("ray_actor_options: {runtime_env: {pip: [a], conda: {}}}", "ray_actor_options.runtime_env",
     "same time"),
    ("ray_actor_options: {runtime_env: {pip: 3}}", "ray_actor_options.runtime_env.pip", "must be of"),
    ("ray_actor_options: {runtime_env: {config: {setup_timeout_seconds: 0}}}",
     "ray_actor_options.runtime_env.config", "greater than zero"),
    ("ray_actor_options: {runtime_env: {working_dir: ./here}}", "ray_actor_options.runtime_env",
     "remote URIs"),
    ("ray_actor_options: {runtime_env: {working_dir: 's3://a/b'}}",
     "ray_actor_options.runtime_env.working_dir", ".zip"),
    ("ray_actor_options: {runtime_env: {py_modules: null}}",
     "ray_actor_options.runtime_env.py_modules", "can't read it"),
]  # fmt: skip


@pytest.mark.parametrize(("deployment", "place", "words"), REFUSED)
def test_what_ray_refuses_in_a_deployment(check, deployment: str, place: str, words: str) -> None:
    found = check(config(deployment))
    where = f"applications[0].deployments[0]{place and '.'}{place}: "
    assert any(where in line and words in line for line in found), found
    assert all(line.startswith(("6: ", "7: ", "8: ")) for line in found)


@pytest.mark.parametrize(
    "deployment",
    [
        "autoscaling_config: {policy: {policy_function: 'mine.policies:f', policy_kwargs: {a: 1}}}",
        "autoscaling_config: {policy: {policy_function: mine.policies.f}}",
        "num_replicas: auto\n        autoscaling_config: {min_replicas: 3}",
        "autoscaling_config: {min_replicas: 0, max_replicas: 4, aggregation_function: max}",
        "request_router_config: {request_router_class: 'mine.routers:R', request_router_kwargs: {b: 1}}",
        "request_router_config: {request_router_class: ray.serve.request_router.RequestRouter}",
        "deployment_actors: [{name: x, actor_class: 'mine:Actor', init_kwargs: {a: 1}}]",
        "placement_group_bundles: [{CPU: 1, GPU: 1}, {GPU: 1}]\n"
        "        placement_group_strategy: STRICT_PACK",
        "placement_group_bundles: [{GPU: 1}]",
        "ray_actor_options: {num_cpus: 0.5, memory: 1.0e+9, resources: {fast: 0.1}, runtime_env: {}}",
        "ray_actor_options: {runtime_env: {pip: [a==1], env_vars: {A: 'false', B: ''}}}",
        "ray_actor_options: {runtime_env: {pip: ./requirements.txt}}",
        "ray_actor_options: {runtime_env: {conda: /opt/env.yaml, env_vars: {}}}",
        "ray_actor_options: {runtime_env: {working_dir: 'https://a/b.zip', config: {log_files: []}}}",
        "ray_actor_options: {runtime_env: {working_dir: 'local:///app'}}",
        "gang_scheduling_config: {gang_size: 2}\n        num_replicas: 4",
    ],
)
def test_what_ray_takes_in_a_deployment(check, deployment: str) -> None:
    assert check(config(deployment)) == []


@pytest.mark.parametrize(
    ("app", "line"),
    [
        ("runtime_env: {env_vars: {A: 1}}",
         "4: applications[0].runtime_env.env_vars.A: runtime_env['env_vars'] must be of type"),
        ("runtime_env: {container: {image: i}, pip: [a]}",
         "4: applications[0].runtime_env: The 'container' field"),
        ("autoscaling_policy: {policy_function: 'a:b:c'}",
         "4: applications[0].autoscaling_policy.policy_function: 'a:b:c' is no import path"),
        ("external_scaler_enabled: true\n    runtime_env: {}", ""),
    ],
)  # fmt: skip
def test_an_application_on_its_own(check, app: str, line: str) -> None:
    found = check(config(app=app))
    assert len(found) == (1 if line else 0)
    assert "".join(found).startswith(line)


def test_a_deployments_environment_goes_over_its_applications(check) -> None:
    env = "ray_actor_options: {runtime_env: {pip: [a]}}"
    (found,) = check(config(env, "runtime_env: {conda: {dependencies: [b]}}"))
    assert found.startswith("7: applications[0].deployments[0].ray_actor_options.runtime_env: pip and")
    assert check(config(env, "runtime_env: {env_vars: {A: b}}")) == []


def test_several_routes_where_no_application_is_ours(check) -> None:
    other = "  - {name: b, route_prefix: /b, import_path: 'mine.app:other'}\n"
    assert check(config() + other) == []
    assert check(config(app="route_prefix: null")) == []


def test_what_ray_ignores_or_warns_of_is_a_warning(tmp_path: Path) -> None:
    for deployment, words in (
        ("ray_actor_options: {runtime_env: {env_var: {A: b}}}", "did you mean env_vars?"),
        ("ray_actor_options: {runtime_env: {config: {timeout: 3}}}", "no field of a runtime_env"),
        ("autoscaling_config: {look_back_period_s: 2}", "look_back_period_s"),
        (
            "autoscaling_config: {policy: {policy_function: 'ray.serve.autoscaling_policy:none'}}",
            "in Ray 2",
        ),
        ("request_router_config: {request_router_class: 'ray.serve.nothing:R'}", "in Ray 2.60"),
    ):
        (tmp_path / "serve.yaml").write_text(config(deployment))
        (one,) = verdict(tmp_path / "serve.yaml", None)
        assert (one.severity, one.line) == ("warning", 7)
        assert words in one.what


@pytest.mark.parametrize(
    ("text", "severities"),
    [
        ("replicaCount: 3\nannotations: {}\nimage: {tag: x}\n", ["error"]),
        ("name: test\nsteps: []\n", ["error"]),
        ("applicatons: []\n", ["error"]),
        ("import_path: a:b\n", ["error", "error"]),
        ("applications: []\n", []),
    ],
)
def test_what_is_no_serve_config_is_named_and_left(
    tmp_path: Path, text: str, severities: list[str]
) -> None:
    (tmp_path / "values.yaml").write_text(text)
    assert [one.severity for one in verdict(tmp_path / "values.yaml", None)] == severities


def test_what_is_no_serve_config_is_not_run(check) -> None:
    (line,) = check("replicaCount: 3\n")
    assert "neither a Serve config nor a resource of Kubernetes" in line


# ray.serve._private.utils.validate_route_prefix, at the deploy; sockets take 1 to 65535.
@pytest.mark.parametrize(
    ("old", "new", "place", "says"),
    [
        ("route_prefix: /a", "route_prefix: a", "applications[0].route_prefix", "begin with a slash"),
        ("route_prefix: /a", "route_prefix: /a/", "applications[0].route_prefix", "ends with a slash"),
        ("route_prefix: /a", "route_prefix: '/{a}'", "applications[0].route_prefix", "wildcard"),
        ("route_prefix: /a", "route_prefix: ''", "applications[0].route_prefix", "empty"),
        ("mine.app:app", "serve_app.app:build_routr", "applications[0].import_path", "this Tandem"),
        ("mine.app:app", "serve_app.none.app", "applications[0].import_path", "this Tandem"),
        ("applications:", "http_options: {port: 80000}\napplications:", "http_options.port", "no port"),
        ("applications:", "http_options: {port: 9000}\n"
         "grpc_options: {grpc_servicer_functions: [m.f]}\napplications:", "http_options.port",
         "gRPC both"),
        ("applications:", "grpc_options: {grpc_servicer_functions: [serve_app.ingress.grpc.add]}\n"
         "applications:", "grpc_options.grpc_servicer_functions[0]", "this Tandem"),
    ],
)  # fmt: skip
def test_what_only_the_deploy_finds(tmp_path: Path, old: str, new: str, place: str, says: str) -> None:
    (tmp_path / "a.yaml").write_text(config().replace(old, new))
    (found, *more) = verdict(tmp_path / "a.yaml", None)
    assert (found.place, found.severity) == (place, "error")
    assert says in found.what
    # What is nearly the Router is looked at as if it were.
    assert [one.what[:18] for one in more] == (["no deployment 'd' "] if "routr" in new else [])


@pytest.mark.parametrize("route", ["/", "/a/b", "null"])
def test_prefixes_that_are_right(tmp_path: Path, route: str) -> None:
    (tmp_path / "a.yaml").write_text(config(app=f"route_prefix: {route}"))
    assert list(verdict(tmp_path / "a.yaml", None)) == []


@pytest.mark.parametrize(
    ("path", "says"),
    [
        (
            "serve_app.demo.identity:Idntity",
            "no 'serve_app.demo.identity:Idntity' in this Tandem; did you "
            "mean serve_app.demo.identity:Identity?",
        ),
        ("serve_app.demo.identity", "'serve_app.demo.identity' is no import path: module:Class"),
        ("mine.models:Any", ""),
    ],
)
def test_classes_of_python_models(tmp_path: Path, path: str, says: str) -> None:
    inline = f"user_config: {{models: [{{name: m, modelFormat: python, class: '{path}'}}]}}"
    text = (
        config(inline)
        .replace("mine.app:app", "serve_app.app:build_router")
        .replace("name: d", "name: Router")
    )
    remote = f"""
  - name: r
    route_prefix: null
    import_path: serve_app.app:build_model
    args: {{modelFormat: python, class: '{path}'}}
"""
    (tmp_path / "a.yaml").write_text(text + remote)
    found = [(one.place, one.what) for one in verdict(tmp_path / "a.yaml", None)]
    places = ("applications[0].deployments[0].user_config.models[0].class", "applications[1].args.class")
    assert [place for place, _ in found] == (list(places) if says else [])
    assert all(what.startswith(says) for _, what in found)


TWO = """\
applications:
  - {name: a, route_prefix: /a, import_path: 'mine.app:app'}
  - {name: %s, route_prefix: /b, import_path: 'mine.app:app'%s}
"""


@pytest.mark.parametrize(
    ("second", "place", "says"),
    [
        # ServeDeploySchema: application_names_unique, application_names_nonempty, nested_host_and_port.
        (("a", ""), "applications[1].name", "another application 'a' came before"),
        (("''", ""), "applications[1].name", "must be nonempty"),
        (("b", ", host: 0.0.0.0"), "applications[1].host", 'Host "0.0.0.0" is set'),
        (("b", ", port: 8000"), "applications[1].port", "Port 8000 is set"),
        (("b", ", deployments: [{name: d}, {name: d}]"), "applications[1].deployments[1].name",
         "another deployment 'd' came before"),
        (("b", ", deployments: [{name: d}, {name: e}]"), "", ""),
    ],
)  # fmt: skip
def test_applications_and_deployments_side_by_side(
    tmp_path: Path, second: tuple[str, str], place: str, says: str
) -> None:
    (tmp_path / "serve.yaml").write_text(TWO % second)
    errors = [one for one in verdict(tmp_path / "serve.yaml", None) if one.severity == "error"]
    assert [one.place for one in errors] == ([place] if place else [])
    assert all(says in one.what and one.line == 3 for one in errors)


def test_two_applications_without_a_name_have_serves_own(tmp_path: Path) -> None:
    text = TWO % ("b", "")
    (tmp_path / "serve.yaml").write_text(text.replace("name: a, ", "").replace("name: b, ", ""))
    (one,) = [one for one in verdict(tmp_path / "serve.yaml", None) if one.severity == "error"]
    assert one.what == "another application 'default' came before"


def test_a_mistake_in_one_application_hides_none_in_another(tmp_path: Path) -> None:
    text = TWO % ("a", ", port: 1, deployments: [{name: d, num_replicas: -1}, {name: d}]")
    (tmp_path / "serve.yaml").write_text(text)
    places = {one.place for one in verdict(tmp_path / "serve.yaml", None) if one.severity == "error"}
    at = "applications[1]"
    assert places == {
        f"{at}.name", f"{at}.port", f"{at}.deployments[0].num_replicas", f"{at}.deployments[1].name",
    }  # fmt: skip
