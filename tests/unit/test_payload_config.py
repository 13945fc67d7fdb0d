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
    for url in ("http://[::1]:8080/", "http://10.0.0.1", "https://a-b.c_d.svc.:443/x?y=%20"):
        assert read(url=url).url == url
    assert read(url="abfs://container@account.dfs.core.windows.net/x").format == "json"
    assert read(url="file:///var/log/payloads").format == "json"


@pytest.mark.parametrize(
    ("logger", "says"),
    [
        ({"url": "message-dumper"}, r"payloads\[0\].url: starts with one of http://, https://"),
        ({"url": "htps://a"}, "did you mean https"),
        ({"url": "http:///path"}, "http:// and then a host"),
        ({"url": "file://relative/x"}, "file:/// and then a folder"),
        ({"url": "kafka://broker:9092"}, "kafka://BROKER:PORT/TOPIC"),
        ({"url": "http://sink:99999/"}, r"payloads\[0\].url: .* from 1 to 65535, not 99999"),
        ({"url": "http://sink:0/"}, r"url: .* from 1 to 65535, not 0"),
        ({"url": "http://sink:abc/"}, "url: 'sink:abc' is no host"),
        ({"url": "http://sink:/"}, "url: 'sink:' is no host"),
        ({"url": "http://:80/"}, "url: ':80' is no host"),
        ({"url": "http://a..b/"}, "url: 'a..b' is no host"),
        ({"url": f"http://{'a' * 64}/"}, "is no host"),
        ({"url": "http://[::1/"}, r"payloads\[0\].url: "),
        ({"url": "http://a/b c"}, "url: has ' '"),
        ({"url": "http://a/b\n"}, r"url: has '\\n'"),
        ({"url": " http://a/"}, "url: "),
        ({"url": "http://größe/"}, "url: a host's or bucket's name has ASCII"),
        ({"url": "http://a/größe"}, r"url: has '\\xf6'"),
        ({"url": "https://me:secret@a/"}, "url: has credentials"),
        ({"url": "https://me@a/"}, "url: has credentials"),
        ({"url": "s3://key:secret@bucket/"}, "url: has credentials"),
        ({"url": "s3://my bucket/"}, "url: a host's or bucket's name has ASCII"),
        ({"url": "s3://bucket/a\tb"}, r"url: has '\\t'"),
        ({"url": "kafka://one:9092,two:99999/t"}, "from 1 to 65535, not 99999"),
        ({"url": "kafka://one:9092,/t"}, "url: '' is no host"),
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
