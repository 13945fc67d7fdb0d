"""Where an engine finds its model, without vLLM; tests/llm/test_config.py has the rest."""

import pytest

from serve_app.errors import ConfigError
from serve_app.llm.arguments import described, newest, one_of
from serve_app.repository.storage import hold


def test_the_newest_version_is_the_engine_s(tmp_path):
    for version in ("2", "10", "9"):
        (tmp_path / version).mkdir()
    assert described(str(tmp_path), "all") == str(tmp_path / "10")
    assert described(str(tmp_path), ["2", "9"]) == str(tmp_path / "9")
    assert newest(hold(str(tmp_path), one_of("latest"))) == ("10", tmp_path / "10")
    with pytest.raises(ConfigError, match="versions: 3 asked for"):
        described(str(tmp_path), ["3"])


@pytest.mark.parametrize("uri", ["s3://b/m", "hf://owner/name", "gs://b"])
def test_what_is_fetched_is_fetched_where_it_runs(uri):
    assert described(uri, "all") == ""


def test_what_cannot_be_fetched_is_said_before():
    with pytest.raises(ConfigError, match="no support for s3a://; did you mean s3://"):
        described("s3a://b/m", "all")
