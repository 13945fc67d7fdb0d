"""Rules in CEL, by Kubernetes' documentation of its libraries
(https://kubernetes.io/docs/reference/using-api/cel) and of validation rules in CRDs."""

from typing import Any

import pytest

from serve_app.tools.check.cel import NotEvaluated, evaluated, rules


@pytest.mark.parametrize(
    "rule",
    [
        "[1, 2, 3].isSorted() && !['b', 'a'].isSorted()",
        "[1, 3].sum() == 4 && [].sum() == 0",
        "[1, 3].min() == 1 && [1, 3].max() == 3",
        "[1, 2, 2, 3].indexOf(2) == 1 && [1, 2, 2, 3].lastIndexOf(2) == 2 && [1.0].indexOf(1.1) == -1",
        "'abcb'.indexOf('b') == 1 && 'abcb'.lastIndexOf('b') == 3",
        "[1, 2, 3].includes(2) && 'a'.includes('a') && ![1].includes(2)",
        "[1, 1, 2].distinct() == [1, 2] && [[1], [2]].flatten() == [1, 2] && [2, 1].sort() == [1, 2]",
        "[1, 2, 3].slice(1, 3) == [2, 3] && lists.range(2) == [0, 1] && [1, 2].reverse() == [2, 1]",
        "'abc 123'.find('[0-9]+') == '123' && 'abc 123'.find('xyz') == ''",
        "'123 abc 456'.findAll('[0-9]+') == ['123', '456']",
        "'123 abc 456'.findAll('[0-9]+', 1) == ['123'] && '123 abc'.findAll('xyz') == []",
        "isURL('https://user:pass@example.com:80/path?query=val#fragment') && isURL('/absolute-path')",
        "!isURL('https://a:b:c/') && !isURL('../relative-path')",
        "!isURL('http://#%blah') && !isURL('/%zz') && !isURL('')",
        "isURL('/a%20b') && isURL('mailto:x')",
        "!isURL('http://a b/') && !isURL('http://x:y/') && isURL('http://u:p@[::1]:80')",
        "url('/path').getScheme() == '' && url('https://example.com/').getScheme() == 'https'",
        "url('https://example.com:80/').getHost() == 'example.com:80'",
        "url('https://[::1]:80/').getHost() == '[::1]:80' && url('/path').getHost() == ''",
        "url('https://[::1]:80/').getHostname() == '::1'",
        "url('https://127.0.0.1:80/').getHostname() == '127.0.0.1'",
        "url('https://example.com:80/').getPort() == '80' && url('/path').getPort() == ''",
        "url('https://example.com/path with spaces/').getEscapedPath() == '/path%20with%20spaces/'",
        "url('https://example.com').getEscapedPath() == ''",
        "url('https://example.com/path?k1=a&k2=b&k2=c').getQuery() == {'k1': ['a'], 'k2': ['b', 'c']}",
        "url('https://example.com/path?').getQuery() == {}",
        "isIP('127.0.0.1') && isIP('::1') && !isIP('127.0.0.256') && !isIP(':::1')",
        "!isIP('::ffff:1.2.3.4') && !isIP('fe80::1%eth0') && !isIP('127.0.0.01')",
        "ip.isCanonical('2001:db8::abcd') && !ip.isCanonical('2001:DB8::ABCD')",
        "ip('127.0.0.1').family() == 4 && ip('::1').family() == 6 && ip('::1') == ip('0:0:0:0:0:0:0:1')",
        "ip('0.0.0.0').isUnspecified() && !ip('127.0.0.1').isUnspecified()",
        "ip('127.0.0.1').isLoopback() && !ip('192.168.0.1').isLoopback()",
        "ip('224.0.0.1').isLinkLocalMulticast() && !ip('224.0.1.1').isLinkLocalMulticast()",
        "ip('ff02::1').isLinkLocalMulticast() && !ip('fd00::1').isLinkLocalMulticast()",
        "ip('169.254.169.254').isLinkLocalUnicast() && !ip('fd80::1').isLinkLocalUnicast()",
        "ip('192.168.0.1').isGlobalUnicast() && !ip('255.255.255.255').isGlobalUnicast()",
        "string(ip('::1')) == '::1'",
        "isCIDR('192.168.0.0/16')",
        "isCIDR('::1/128')",
        "!isCIDR('192.168.0.0/33')",
        "!isCIDR('::1/129')",
        "cidr('192.168.0.0/24').containsIP(ip('192.168.0.1'))",
        "cidr('192.168.0.0/24').containsIP('192.168.0.1') && !cidr('10.0.0.0/8').containsIP('11.0.0.1')",
        "cidr('192.168.0.0/16').containsCIDR('192.168.10.0/24')",
        "!cidr('192.168.1.0/24').containsCIDR(cidr('192.168.2.0/24'))",
        "cidr('192.168.0.1/24').ip() == ip('192.168.0.1') && cidr('::1/128').ip().family() == 6",
        "cidr('192.168.0.1/24').masked() == cidr('192.168.0.0/24')",
        "cidr('192.168.0.1/24') != cidr('192.168.0.1/24').masked()",
        "cidr('::1/128').prefixLength() == 128",
        "isQuantity('1.3Gi') && !isQuantity('1,3G') && !isQuantity('200K') && !isQuantity('Three')",
        "quantity('50k').asInteger() == 50000",
        "quantity('1k').isInteger()",
        "!quantity('1m').isInteger()",
        "quantity('50k').sub(20000).asApproximateFloat() == 30000.0",
        "quantity('50k').add(20) == quantity('50020') && quantity('1Gi') == quantity('1024Mi')",
        "quantity('50k').add(20).sub(quantity('100k')).sub(-50000) == quantity('20')",
        "quantity('200M').compareTo(quantity('0.2G')) == 0",
        "quantity('50M').compareTo(quantity('50Mi')) == -1",
        "quantity('150Mi').isGreaterThan(quantity('100Mi'))",
        "quantity('1M').isLessThan(quantity('1Mi'))",
        "quantity('-1').sign() == -1 && quantity('0').sign() == 0",
        "isSemver('1.2.3-rc.1') && !isSemver('v1.2.3') && isSemver('v1.0', true) && !isSemver('1.2')",
        "semver('1.2.3').major() == 1 && semver('1.0', true) == semver('1.0.0')",
        "semver('1.2.3').isLessThan(semver('2.0.0')) && semver('1.0.0-a').isLessThan(semver('1.0.0'))",
        "sets.contains([1, 2, 3], [2]) && sets.intersects([1], [1, 2]) && sets.equivalent([1, 1], [1])",
        "!sets.contains([1], [1, 2]) && sets.equivalent([], [])",
        "!format.dns1123Label().validate('my-label').hasValue()",
        "format.dns1123Label().validate('My_label').hasValue()",
        "!format.uuid().validate('123e4567-e89b-12d3-a456-426614174000').hasValue()",
        "self.?missing.orValue('none') == 'none' && self.?a.hasValue() && self[?'a'].value() == 1",
        "optional.of(1).optMap(x, x + 1).value() == 2 && !optional.none().hasValue()",
        "'a,b'.split(',').join('-') == 'a-b' && '%s: %d'.format(['a', 1]) == 'a: 1'",
        "'HeLLo'.lowerAscii() == 'hello' && ' a '.trim() == 'a' && 'abc'.substring(1, 2) == 'b'",
        "self.a < 1.5 && self.a == 1 && self.list.all(x, x > 0) && self.list.exists_one(x, x == 2)",
        "self.list.map(x, x * 2) == [2, 4] && has(self.a) && !has(self.b)",
        "duration('1h') > duration('59m') && timestamp('2026-01-01T00:00:00Z').getFullYear() == 2026",
    ],
)  # fmt: skip
def test_functions(rule: str) -> None:
    assert evaluated(rule, {"a": 1, "list": [1, 2]}) is True


@pytest.mark.parametrize(
    "rule",
    [
        "quantity('Three')",
        "ip('::g')",
        "cidr('10.0.0.0')",
        "url('../x')",
        "semver('1')",
        "[].min()",
        "1 / 0",
    ],
)
def test_functions_that_end_in_an_error(rule: str) -> None:
    with pytest.raises(NotEvaluated):
        evaluated(rule, None)


def asked(rule: str | dict[str, Any], data: Any, **schema: Any) -> list[tuple[str, str]]:
    made = rule if isinstance(rule, dict) else {"rule": rule}
    found = list(rules({"x-kubernetes-validations": [made], **schema}, data))
    return [(one.severity, one.what) for one in found]


def test_a_rule_at_each_place() -> None:
    item = {"x-kubernetes-validations": [{"rule": "self > 1", "message": "too small"}]}
    schema = {
        "properties": {"many": {"items": item}, "map": {"additionalProperties": item}},
        "x-kubernetes-validations": [{"rule": "self.many.size() < 3"}],
    }
    found = [(one.place, one.what) for one in rules(schema, {"many": [2, 1, 5], "map": {"a": 0}})]
    assert found == [
        ((), "breaks the rule self.many.size() < 3"),
        (("many", 1), "too small"),
        (("map", "a"), "too small"),
    ]


@pytest.mark.parametrize(
    "rule",
    [
        "self.(",
        "self.nothing()",
        "self.missing > 1",
        "unknown(self)",
        "self.a.all(k, v, v > 0)",  # two variables
        "'a' + 1 == 'b'",
        "authorizer.path('/x').check('get').allowed()",
        7,
    ],
)
def test_a_rule_that_cannot_be_evaluated_is_a_note(rule: Any) -> None:
    ((severity, what),) = asked(rule, {"a": {"b": 1}})
    assert severity == "note"
    assert what.startswith("not looked at: the rule ")


def test_an_argument_that_is_none_of_its_kind_is_refused() -> None:
    """There the API server ends in an error too, for the value's sake."""
    ((severity, what),) = asked({"rule": "url(self).getScheme() == 'http'", "message": "http"}, "no url")
    assert severity == "error"
    assert what == "'no url' is no URL, which a rule asks for: http"
    for rule in ("int(self) > 0", "duration(self) > duration('1s')", "timestamp(self).getHours() == 1"):
        ((severity, what),) = asked(rule, "soon")
        assert severity == "error", rule


def test_a_field_that_is_not_there_is_refused_where_the_schema_knows_it() -> None:
    """Then the API server says "no such key". Where no schema knows it, it is the rule that is wrong."""
    (found,) = asked("size(self.refs) > 0", {}, properties={"refs": {"type": "array"}})
    assert found == ("error", "no 'refs', which a rule asks for: breaks the rule size(self.refs) > 0")
    ((severity, _),) = asked("size(self.refs) > 0", {}, properties={"other": {}})
    assert severity == "note"


def test_rules_about_a_change_have_nothing_to_compare() -> None:
    assert asked("self == oldSelf", 1) == []
    first = {
        "rule": "oldSelf.hasValue() || self > 1",
        "optionalOldSelf": True,
        "message": "small at first",
    }
    assert asked(first, 2) == []
    assert asked(first, 1) == [("error", "small at first")]


def test_what_a_message_is_made_of() -> None:
    rule = {"rule": "self < 2", "message": "big", "messageExpression": "'got ' + string(self)"}
    assert asked(rule, 3) == [("error", "got 3")]
    (found,) = rules({"x-kubernetes-validations": [{"rule": "false", "fieldPath": ".a.b"}]}, {"a": {}})
    assert found.place == ("a", "b")


def test_names_that_are_no_identifiers() -> None:
    """`__dash__` and the like; keys of maps stay what they are."""
    names = {
        "a-b": {},
        "c.d": {},
        "namespace": {},
        "x__y": {},
        "e/f": {},
        "map": {"additionalProperties": {}},
    }
    data = {"a-b": 1, "c.d": 2, "namespace": 3, "x__y": 4, "e/f": 5, "map": {"a-b": 6}}
    rule = (
        "self.a__dash__b == 1 && self.c__dot__d == 2 && self.__namespace__ == 3 && "
        "self.x__underscores__y == 4 && self.e__slash__f == 5 && self.map['a-b'] == 6"
    )
    assert asked(rule, data, properties=names) == []


def test_types_by_the_schema() -> None:
    """Numbers are doubles, formats make times, durations and bytes; of metadata the names are seen."""
    properties = {
        "n": {"type": "number"},
        "t": {"type": "string", "format": "date-time"},
        "d": {"type": "string", "format": "duration"},
        "b": {"type": "string", "format": "byte"},
        "null": {"type": "string", "nullable": True},
    }
    data = {
        "n": 1, "t": "2026-01-02T00:00:00Z", "d": "90s", "b": "aGk=", "null": None,
        "metadata": {"name": "x", "labels": {}},
    }  # fmt: skip
    rule = (
        "type(self.n) == double && self.t.getDate() == 2 && self.d > duration('1m') && "
        "self.b == b'hi' && "
        "!has(self.__null__) && self.metadata.name == 'x' && !has(self.metadata.labels)"
    )
    assert asked(rule, data, properties=properties) == []


def test_no_rule_where_the_schema_is_broken_already() -> None:
    schema = {"properties": {"a": {}}, "x-kubernetes-validations": [{"rule": "false"}]}
    assert list(rules(schema, {"a": 1}, lambda place: place == ("a",))) == []
