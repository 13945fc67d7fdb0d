"""Batches between our own processes: bit for bit, aligned, without copies, and nothing but data."""

import contextlib
import math
import pickle

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from serve_app.errors import (
    KINDS,
    InvalidArgument,
    ModelFailed,
    NotFound,
    Unavailable,
    copied,
    plain,
    raised,
)
from serve_app.hop import frames
from serve_app.protocol.wire import LARGE
from tests.unit.arrays import DATATYPES, arrays, of_bytes, same

tensors = st.dictionaries(st.text(), st.sampled_from(DATATYPES).flatmap(arrays), max_size=4)


def sent(about: dict, given_arrays: dict) -> bytes:
    return b"".join(frames.pack(about, given_arrays))


@given(tensors)
def test_tensors_come_back_bit_for_bit(given_arrays):
    about, found = frames.unpack(sent({"version": "1"}, given_arrays))
    assert about == {"version": "1"}
    assert list(found) == list(given_arrays)
    assert all(same(array, found[name]) for name, array in given_arrays.items())


def test_parameters_are_not_bent():
    parameters = {"a": True, "b": 2**63 + 7, "c": -0.1, "d": 'ü"\ud800', "e": math.inf}
    about, _ = frames.unpack(sent({"parameters": {**parameters, "nan": math.nan}}, {}))
    assert math.isnan(about["parameters"].pop("nan"))
    assert about == {"parameters": parameters}


@pytest.mark.parametrize("id", ["a", "ü", "\ud800", 'q"', "\0"])
def test_ids_are_what_clients_made_of_them(id):
    about = {"version": "1", "parameters": {}, "asking": [id]}
    assert frames.unpack(sent(about, {}))[0] == about


@pytest.mark.parametrize("name", ["x", "odd", "seven..", "ü"])
def test_arrays_are_aligned_whatever_lies_before_them(name):
    given_arrays = {
        name: of_bytes([b"odd"], (1,)),
        "flag": np.array([True, False, True]),
        "wide": np.arange(5, dtype=np.float64),
    }
    wide = frames.unpack(sent({"version": name}, given_arrays))[1]["wide"]
    assert wide.flags.aligned
    assert wide.tolist() == [0, 1, 2, 3, 4]


def test_a_large_array_that_cannot_change_is_not_copied():
    array = np.zeros(LARGE, dtype=np.uint8)
    array.flags.writeable = False
    assert any(np.shares_memory(array, part) for part in frames.pack({}, {"x": array}))
    data = sent({}, {"x": array})
    found = frames.unpack(data)[1]["x"]
    assert np.shares_memory(found, np.frombuffer(data, np.uint8))
    assert not found.flags.writeable


@pytest.mark.parametrize(
    "error", [kind("what: ü") for kind in (InvalidArgument, ModelFailed, NotFound, Unavailable)]
)
def test_errors_keep_their_kind(error):
    found = frames.unpack_error(b"".join(frames.pack_error(error)))
    assert (type(found), str(found)) == (type(error), str(error))


def test_every_kind_of_error_can_be_sent():
    for kind in KINDS.values():
        assert type(frames.unpack_error(b"".join(frames.pack_error(kind("no"))))) is kind


def test_a_users_own_class_arrives_as_its_kind():
    class BadImage(InvalidArgument):
        pass

    found = frames.unpack_error(b"".join(frames.pack_error(BadImage("too dark"))))
    assert (type(found), str(found)) == (InvalidArgument, "too dark")


def test_the_words_of_a_model_s_exception_come_along():
    class Mine(ModelFailed):
        pass

    for error in (raised("model 'm' raised", KeyError("k")), Mine("model 'm' raised KeyError")):
        error.said = "'k'"
        found = frames.unpack_error(b"".join(frames.pack_error(error)))
        assert (str(found), found.said) == ("model 'm' raised KeyError", "'k'")
        found = plain(pickle.loads(pickle.dumps(copied(error))))
        assert (str(found), found.said) == ("model 'm' raised KeyError", "'k'")


def test_an_unknown_kind_is_the_models_fault():
    (found,) = [frames.unpack_error(sent({"kind": "SystemExit", "message": "m"}, {}))]
    assert type(found) is ModelFailed


GOOD = sent({"version": "1", "parameters": {}}, {"x": np.zeros((2, 3), np.float32)})


@pytest.mark.parametrize("data", [b"", b"\0" * 7, b"\xff" * 8, GOOD[:-1], GOOD + b"\0", b"x" * 100])
def test_what_is_no_batch_is_refused(data):
    with pytest.raises(InvalidArgument):
        frames.unpack(data)


@given(st.integers(0, len(GOOD) - 1), st.integers(0, 255))
def test_a_wrong_byte_gives_a_batch_or_an_error(at, value):
    data = bytearray(GOOD)
    data[at] = value
    with contextlib.suppress(InvalidArgument):
        frames.unpack(bytes(data))
