import pytest

from serve_app.config import RouterUserConfig, parse
from serve_app.errors import ConfigError


def read(**logger):
    return parse(RouterUserConfig, {"payloads": [logger]}).payloads[0]


def test_kserve_s_words_are_enough():
    found = read(url="http://message-dumper.default/", mode="all")
    assert (found.sample, found.models, found.mode) == (1, [], "all")
    assert (
        read(url="s3://bucket/prefix", format="parquet", batch={"maxSeconds": 5}).batch.max_seconds == 5
    )
    assert read(url="kafka://one:9092,two:9092/topic").url.endswith("/topic")
    assert read(url="file:///var/log/payloads").format == "json"


@pytest.mark.parametrize(
    ("logger", "says"),
    [
        ({"url": "message-dumper"}, r"payloads\[0\].url: starts with one of http://, https://"),
        ({"url": "htps://a"}, "did you mean https"),
        ({"url": "http:///path"}, "http:// and then a host"),
        ({"url": "file://relative/x"}, "file:/// and then a folder"),
        ({"url": "kafka://broker:9092"}, "kafka://BROKER:PORT/TOPIC"),
        ({"url": "http://a", "mode": "al"}, "did you mean all"),
        ({"url": "http://a", "format": "parquet"}, "format is for files"),
        ({"url": "http://a", "sample": 0}, "sample: Input should be greater than 0"),
        ({"url": "http://a", "redact": ["a..b"]}, "'a..b' is no path of names"),
        ({"url": "http://a", "model": "m"}, "model: unknown key; did you mean mode"),
    ],
)
def test_what_is_refused(logger, says):
    with pytest.raises(ConfigError, match=says):
        read(**logger)
