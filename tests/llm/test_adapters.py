"""LoRA adapters in a bucket: found by name when they are asked for."""

from pathlib import Path
from typing import Any

import pytest
import tritonclient.grpc as triton_grpc
from tritonclient.utils import InferenceServerException

from tests.llm.conftest import NEEDS
from tests.llm.serving import ADAPTER, BROKEN, IN_BUCKET, MODEL
from tests.llm.test_generate import ALONE, GREEDY, PROMPT, URL, tensors
from tests.serve.live import until
from tests.server import Server

sdk = pytest.importorskip("openai", reason=NEEDS)


def said(openai: Any, model: str) -> str:
    answer = openai.completions.create(model=model, prompt=PROMPT, **GREEDY)
    assert answer.model == model
    return str(answer.choices[0].text)


@pytest.fixture(scope="module")
def expected(openai: Any) -> str:
    """What the same adapter says that the engine has from the start."""
    text = said(openai, ADAPTER)
    assert text != said(openai, MODEL)
    return text


def test_it_is_a_model_of_its_own(openai: Any, expected: str) -> None:
    assert said(openai, IN_BUCKET) == expected
    events = openai.completions.create(model=IN_BUCKET, prompt=PROMPT, **GREEDY, stream=True)
    assert "".join(event.choices[0].text for event in events) == expected
    assert openai.models.retrieve(IN_BUCKET).parent == MODEL


def test_by_lora_name_in_v2(http: Any, llm: Server, expected: str) -> None:
    body = {"text_input": PROMPT, "parameters": {"lora_name": "other", **ALONE}}
    assert http.post(f"{URL}/generate", json=body).json()["text_output"] == expected
    with triton_grpc.InferenceServerClient(llm.grpc) as client:
        given = tensors(triton_grpc, [PROMPT])
        answer = client.infer(MODEL, given, parameters={**ALONE, "lora_name": IN_BUCKET})
        assert answer.as_numpy("text_output")[0].decode() == expected
        with pytest.raises(InferenceServerException, match="absent") as caught:
            client.infer(MODEL, given, parameters={"lora_name": "absent"})
        assert caught.value.status() == "StatusCode.INVALID_ARGUMENT"


def test_one_that_came_later(openai: Any, bucket: Any, llm: Server, expected: str) -> None:
    folder = Path(llm.config).parent / "adapter"
    bucket.put_folder(folder, "adapters/later")
    assert said(openai, f"{MODEL}:later") == expected


@pytest.mark.parametrize("folder", ["absent", "../adapters/other", "..", ""])
def test_what_is_not_in_the_bucket(openai: Any, folder: str) -> None:
    with pytest.raises(sdk.NotFoundError, match=f"model: no .*'{MODEL}:{folder}'") as caught:
        said(openai, f"{MODEL}:{folder}")
    assert "s3:" not in caught.value.message
    assert (caught.value.code, caught.value.param) == ("model_not_found", "model")


def test_one_that_cannot_be_loaded(openai: Any, llm: Server, expected: str) -> None:
    with pytest.raises(sdk.InternalServerError, match=f"adapter '{BROKEN}' can't be loaded") as caught:
        said(openai, BROKEN)
    assert "Traceback" not in caught.value.message
    assert "/" not in caught.value.message
    until(
        lambda: f"adapter {BROKEN} can't be loaded" in llm.log.read_text(), "the reason in the log", 30
    )
    assert said(openai, IN_BUCKET) == expected
