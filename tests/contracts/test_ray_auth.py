"""The token by which Ray's own processes know each other."""

from tests.contracts.live import TOKEN


def test_whether_there_is_one(live):
    assert live("auth", "enabled") is True


def test_the_header_has_one_value(live):
    assert live("auth", "header") == [f"Bearer {TOKEN}"]
