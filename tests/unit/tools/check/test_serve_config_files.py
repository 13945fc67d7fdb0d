"""Files that hold no Serve config, what they hold twice, and anchors."""

import pytest
import yaml

from serve_app.errors import ConfigError
from serve_app.tools.check import load_checked, verdict
from tests.unit.tools.check.configs import changed


@pytest.mark.parametrize(
    ("old", "new", "place"),
    [
        ("http_options: {", "http_options: {}\nhttp_options: {", "http_options"),
        ("          num_cpus: 1", "          num_cpus: 1\n          num_cpus: 2",
         "ray_actor_options.num_cpus"),
        ("                  datatype: FP32",
         "                  datatype: FP32\n                  datatype: FP64", "inputs[0].datatype"),
    ],
)  # fmt: skip
def test_a_key_given_twice_is_reported_at_the_second(check, old, new, place):
    text = changed(old, new)
    key = place.rpartition(".")[2].partition("[")[0]
    second = [n for n, line in enumerate(text.splitlines(), 1) if f"{key}:" in line][1]
    assert any(
        line.startswith(f"{second}: ") and line.endswith(f"{place}: given twice") for line in check(text)
    )


def test_all_mistakes_come_at_once_in_the_order_of_the_file(check):
    text = changed("http_options: {host", "http_option: {host").replace(
        "max_ongoing_requests: 64", "max_ongoing: 64"
    )
    found = check(text)
    lines = [int(line.partition(":")[0]) for line in found]
    assert lines == sorted(lines)
    assert len(found) == 2
    ours = changed("storageUri: models/two", "storageURI: models/two").replace(
        "datatype: FP32", "datatype: FP31"
    )
    assert len(check(ours)) >= 2


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "expected a mapping"), ("- a\n", "expected a mapping"), ("a: [", "not valid YAML"),
        ("a: 1\n---\nb: 2\n", "one Serve config, found 2"), ("{[1]: 2}", "not valid YAML"),
        ("a: !!python/name:os.system", "not valid YAML"),
        ("apiVersion: ray.io/v1\nkind: RayService\n", "a RayService is Kubernetes' (tandem local "),
        ("apiVersion: apps/v1\nkind: Deployment\n", "a Deployment is Kubernetes' (kubectl apply -f "),
        ("applications: 3", "applications"), ("applications:\n  - 3\n", "applications[0]"),
        ("{}", "applications"),
        ("applications:\n  - name: a\n    import_path: b\n    deployments: {}\n", "deployments"),
    ],
)  # fmt: skip
def test_files_that_are_no_serve_config(check, tmp_path, text, message):
    path = tmp_path / "serve.yaml"
    path.write_text(text)
    with pytest.raises(ConfigError) as caught:
        load_checked(path)
    assert message in str(caught.value)


def test_files_that_cannot_be_read(tmp_path):
    with pytest.raises(ConfigError, match="No such file"):
        load_checked(tmp_path / "none.yaml")
    (tmp_path / "latin.yaml").write_bytes(b"name: caf\xe9")
    with pytest.raises(ConfigError, match=r"latin.yaml: not valid"):
        load_checked(tmp_path / "latin.yaml")


def test_an_alias_keeps_the_anchors_mistakes(check):
    text = changed("{maxBatchSize: 64}", "&b {maxBatchSize: 99}").replace(
        "maxBatchSize: 16", "maxBatchSize: 8"
    )
    assert any("99 is larger" in line for line in check(text))


@pytest.mark.parametrize("brought", [".", "https://example.org/app.zip"])
def test_what_a_runtime_env_brings_is_not_looked_for(tmp_path, brought):
    """Not even where it is wrong itself: Ray takes no folder of this machine's in a config."""
    env = {"working_dir": brought}
    app = {"name": "a", "import_path": "nowhere_at_all:app", "runtime_env": env}
    (tmp_path / "serve.yaml").write_text(yaml.safe_dump({"applications": [app]}))
    found = [one.place for one in verdict.check(tmp_path / "serve.yaml", None)]
    assert found == (["applications[0].runtime_env"] if brought == "." else [])
