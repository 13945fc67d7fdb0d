"""Text generation: V2's tensors and parameters, by the names of Triton's vLLM backend."""

from typing import Any

import numpy as np
import pytest

from serve_app.errors import InvalidArgument
from serve_app.protocol.completions import Answer
from serve_app.protocol.generation import (
    INPUTS,
    OUTPUTS,
    Generation,
    asking_for,
    generation,
    whether_streamed,
)
from serve_app.protocol.tensors import InferRequest, Tensor
from tests.unit.arrays import of_bytes
from tests.unit.engines import ENGINE, choice, with_tokens

FLAGS = (
    "return_finish_reason", "return_cumulative_logprob", "return_logprobs",
    "return_num_input_tokens", "return_num_output_tokens",
)  # fmt: skip
ALL = dict.fromkeys(FLAGS, True)


def texts(*values: Any) -> dict[str, np.ndarray]:
    return {"text_input": np.array(values, dtype=object)}


def sampling(value: bytes) -> dict[str, np.ndarray]:
    return {**texts(b"a"), "sampling_parameters": of_bytes([value], (1,))}


def flag(name: str, value: bool) -> dict[str, np.ndarray]:
    return {**texts(b"a"), name: np.array([value])}


def read(inputs: Any, parameters: Any = None, stream: bool = False) -> Generation:
    return generation("m", inputs, parameters or {}, ENGINE, stream)


def test_the_tensors_are_tritons() -> None:
    """As its backend completes a model's configuration, but for image."""
    inputs = {spec.name: (spec.datatype, spec.optional) for spec in INPUTS}
    assert inputs == {
        "text_input": ("BYTES", False), "sampling_parameters": ("BYTES", True),
        **dict.fromkeys(("stream", "exclude_input_in_output", *FLAGS), ("BOOL", True)),
    }  # fmt: skip
    assert {spec.name: spec.datatype for spec in OUTPUTS} == {
        "text_output": "BYTES", "finish_reason": "BYTES", "cumulative_logprob": "FP32",
        "logprobs": "BYTES", "num_input_tokens": "UINT32", "num_output_tokens": "UINT32",
    }  # fmt: skip


def test_what_the_engine_is_asked() -> None:
    assert read(texts(b"a")).asked == {"model": "m", "prompt": "a", "stream": False}
    assert read(texts(b"a", "ü")).asked["prompt"] == ["a", "ü"]
    assert read(texts(b"a"), {"max_tokens": 3}, stream=True).asked["max_tokens"] == 3
    wanted = read(
        sampling(b'{"temperature":0.5}'), {"temperature": 1.0, "max_tokens": 3, "lora_name": "m-other"}
    )
    assert wanted.asked == {
        "model": "m-other", "prompt": "a", "stream": False, "temperature": 0.5, "max_tokens": 3,
    }  # fmt: skip
    nothing = read(sampling(b'{"stop":null,"temperature":null}'), {"max_tokens": 3, "temperature": 1.0})
    assert nothing.asked == {
        "model": "m", "prompt": "a", "stream": False, "max_tokens": 3, "temperature": 1.0,
    }  # fmt: skip


def test_sampling_parameters_as_tritons_clients_send_them() -> None:
    """Numbers in strings go on, for vLLM reads them; its objects are JSON in a string."""
    wanted = read(sampling(b'{"temperature":"0","structured_outputs":"{\\"choice\\":[\\"a\\"]}"}'))
    assert wanted.asked["temperature"] == "0"
    assert wanted.asked["structured_outputs"] == {"choice": ["a"]}
    assert read(texts(b"a"), {"sampling_parameters": '{"max_tokens":3}'}).asked["max_tokens"] == 3
    assert read(texts(b"a"), {"n": "2"}, stream=True).rows == 2


@pytest.mark.parametrize("name", [*FLAGS, "stream", "exclude_input_in_output", "lora_name", "stop"])
def test_null_is_nothing(name: str) -> None:
    assert read(texts(b"a"), {name: None}) == read(texts(b"a"))
    assert read(sampling(b'{"%s":null}' % name.encode())) == read(texts(b"a"))


@pytest.mark.parametrize("name", FLAGS)
def test_outputs_are_asked_for_by_tensor_or_parameter(name: str) -> None:
    output = name.removeprefix("return_")
    named = asking_for(["text_output", output], {})
    in_sampling = sampling(b'{"%s":true}' % name.encode())
    for wanted in (
        read(flag(name, True)), read(texts(b"a"), {name: True}), read(in_sampling),
        read(texts(b"a"), named), read(flag(name, False), named),
    ):  # fmt: skip
        assert wanted.wanted == {output}
        assert name not in wanted.asked
    for wanted in (read(flag(name, False)), read(texts(b"a"), {name: False})):
        assert wanted.wanted == frozenset()


def test_the_engine_is_asked_for_no_more_than_is_wanted() -> None:
    assert "return_token_ids" not in read(texts(b"a"), {"return_finish_reason": True}).asked
    assert read(texts(b"a"), {"return_num_input_tokens": True}).asked["return_token_ids"] is True
    assert read(texts(b"a"), {"return_cumulative_logprob": True}).asked["logprobs"] == 0
    assert read(texts(b"a"), {"return_cumulative_logprob": True, "logprobs": 2}).asked["logprobs"] == 2
    assert "logprobs" not in read(texts(b"a"), {"return_logprobs": True}).asked


@pytest.mark.parametrize(
    ("exclude", "stream", "repeats"),
    [
        (None, False, True), (False, False, True), (True, False, False), (None, True, False),
        (True, True, False),
    ],
)  # fmt: skip
def test_the_prompt_comes_before_a_whole_answer_unless_it_is_excluded(
    exclude: bool | None, stream: bool, repeats: bool
) -> None:
    assert read(texts(b"a"), {"exclude_input_in_output": exclude}, stream).repeats is repeats
    if exclude is not None:
        assert read(flag("exclude_input_in_output", exclude), {}, stream).repeats is repeats


def test_whether_a_request_wants_a_stream() -> None:
    def asked(*tensors: Tensor, **parameters: Any) -> bool | None:
        return whether_streamed(InferRequest("m", "", "", list(tensors), parameters=parameters))

    assert asked() is None
    assert asked(stream=None) is None
    assert asked(stream=True) is True
    assert asked(Tensor("stream", "BOOL", np.array([False]))) is False
    with pytest.raises(InvalidArgument, match="stream must be true or false, got 1"):
        asked(stream=1)


@pytest.mark.parametrize(
    ("inputs", "parameters", "stream", "said"),
    [
        (texts(), {}, False, "holds no text"),
        (texts(b"\xff"), {}, False, "not valid UTF-8"),
        (texts(b"a", b"b"), {}, True, "a stream is of one text, tensor 'text_input' holds 2"),
        (texts(b"a"), {"exclude_input_in_output": False}, True, "exclude_input_in_output: false"),
        (texts(b"a"), {"return_logprobs": "yes"}, False, "return_logprobs must be true or false"),
        (texts(b"a"), {"exclude_input_in_output": 1}, False, "exclude_input_in_output must be true"),
        (texts(b"a"), {"best_of": 2}, False, "parameters.best_of: not here"),
        (texts(b"a"), {"echo": True}, False, "parameters.echo: not here: exclude_input_in_output"),
        (
            texts(b"a"),
            {"lora_name": "m-othr"},
            False,
            "parameters.lora_name: model 'm' has no adapter 'm-othr'; did you mean m-other",
        ),
        (texts(b"a"), {"lora_name": 5}, False, "has no adapter '5'; known: m, m-other"),
        (texts(b"a"), {"prompt": "b"}, False, "parameters.prompt: not here: text_input"),
        (
            texts(b"a"),
            {"temprature": 2},
            False,
            "no parameter of a generation; did you mean temperature",
        ),
        (texts(b"a"), {"zzz": 2}, False, "parameters.zzz: no parameter of a generation"),
        (texts(b"a"), {"structured_outputs": "{"}, False, "structured_outputs is not valid JSON"),
        (
            texts(b"a"),
            {"structured_outputs": '{"json":{"not":{}}}'},
            False,
            "structured_outputs.json: nothing",
        ),
        (texts(b"a"), {"image": "aGk="}, False, "image: not here: OpenAI's /v1/chat/completions takes"),
        (texts(b"a"), {"max_tokens": 2**63}, False, "max_tokens must be a number that 64 bits hold"),
        (texts(b"a"), {"response_format": [1]}, False, "response_format must be an object, got [1]"),
        (
            texts(b"a"),
            {"sampling_parameters": {}},
            False,
            "sampling_parameters must be a JSON object in",
        ),
        (sampling(b"["), {}, False, "sampling_parameters is not valid JSON"),
        (sampling(b"[]"), {}, False, "sampling_parameters must hold a JSON object"),
    ],
)
def test_what_is_wrong_is_named(inputs: Any, parameters: Any, stream: bool, said: str) -> None:
    with pytest.raises(InvalidArgument) as caught:
        read(inputs, parameters, stream)
    assert said in caught.value.message


def test_the_text_alone_is_the_default() -> None:
    found = Answer(read(texts(b"a"))).whole([choice("b", "stop")])
    assert {name: array.tolist() for name, array in found.items()} == {"text_output": [b"ab"]}


def test_a_whole_answer_with_all_that_there_is() -> None:
    wanted = read(texts("ü", b"bc"), ALL | {"logprobs": 0})
    choices = [
        with_tokens(choice("y", "length", 1), wanted.asked, "bc"),
        with_tokens(choice("xx", "stop", 0), wanted.asked, "ü"),
    ]
    found = Answer(wanted).whole(choices)
    x, y = (
        b'{"%d":{"logprob":-0.5,"rank":1,"decoded_token":"%c"}}' % (ord(one), ord(one)) for one in "xy"
    )
    assert {name: array.tolist() for name, array in found.items()} == {
        "text_output": ["üxx".encode(), b"bcy"],
        "finish_reason": [b"stop", b"length"],
        "cumulative_logprob": [-1.0, -0.5],
        "logprobs": [b"[" + x + b"," + x + b"]", b"[" + y + b"]"],
        "num_input_tokens": [1, 2],
        "num_output_tokens": [2, 1],
    }
    assert {name: array.dtype.kind for name, array in found.items()}["num_input_tokens"] == "u"


def test_logprobs_that_were_asked_for_without_saying_how_many_are_null() -> None:
    """As Triton's backend answers."""
    wanted = read(texts(b"a"), {"return_logprobs": True, "return_cumulative_logprob": True})
    found = Answer(wanted).whole([with_tokens(choice("b", "stop"), wanted.asked, "a")])
    assert found["logprobs"].tolist() == [b"null"]
    assert found["cumulative_logprob"].tolist() == [-0.5]


def test_pieces_say_what_came_and_sum_up() -> None:
    answer = Answer(wanted := read(texts(b"ab"), ALL | {"logprobs": 0}, stream=True))
    pieces = [
        answer.piece([with_tokens(choice(text, reason), wanted.asked, prompt)])
        for text, reason, prompt in (("x", None, "ab"), ("yy", None, ""), ("", "stop", ""))
    ]
    assert [last for _, last in pieces] == [False, False, True]
    found = {name: [arrays[name].tolist()[0] for arrays, _ in pieces] for name in pieces[0][0]}
    assert found["text_output"] == [b"x", b"yy", b""]
    assert found["finish_reason"] == [b"None", b"None", b"stop"]
    assert found["cumulative_logprob"] == [-0.5, -1.5, -1.5]
    assert found["num_input_tokens"] == [2, 2, 2]
    assert found["num_output_tokens"] == [1, 2, 0]
    assert found["logprobs"][2] == b"[]"


def test_several_answers_in_one_stream_end_together() -> None:
    answer = Answer(read(texts(b"a"), {"n": 2, "return_finish_reason": True}, stream=True))
    first, ended = answer.piece([choice("x", "stop", 1)])
    assert (first["text_output"].tolist(), first["finish_reason"].tolist(), ended) == (
        [b"", b"x"], [b"None", b"stop"], False,
    )  # fmt: skip
    assert answer.piece([choice("y", "length", 0)])[1] is True


def test_several_answers_to_several_texts() -> None:
    found = Answer(read(texts(b"a", b"b"), {"n": 2})).whole(
        [choice(str(at), "stop", at) for at in range(4)]
    )
    assert found["text_output"].tolist() == [b"a0", b"a1", b"b2", b"b3"]
