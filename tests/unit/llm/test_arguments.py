"""What is said of an engine's arguments without vLLM; tests/llm/test_config.py has the rest."""

import pytest

from serve_app.errors import ConfigError
from serve_app.llm import arguments


@pytest.mark.parametrize(
    ("uri", "package"),
    [("s3://b/m", "boto3"), ("gs://b", "pyarrow"), ("abfss://b", "adlfs"), ("azure://b", "adlfs")],
)
def test_a_bucket_needs_its_package(monkeypatch: pytest.MonkeyPatch, uri: str, package: str) -> None:
    asked = []

    def absent(module: str) -> None:
        asked.append(module)
        raise ImportError(module)

    monkeypatch.setattr(arguments, "import_module", absent)
    with pytest.raises(ConfigError, match=f"^{uri}: .* needs the Python package {package}$"):
        arguments.source(uri, "latest")
    monkeypatch.setattr(arguments, "import_module", asked.append)
    assert arguments.source(uri, "latest") == (uri, "1")


def test_the_hub_is_asked_by_name() -> None:
    assert arguments.source("hf://owner/name/", "latest") == ("owner/name", "1")
