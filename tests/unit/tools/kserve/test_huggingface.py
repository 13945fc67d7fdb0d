"""Models of KServe's huggingfaceserver: its arguments, its tasks, what it answers."""

from typing import Any

import pytest

from serve_app.tools.kserve import both_ways, serve_config
from tests.unit.tools.kserve.isvc import entry, errors, isvc, model, one


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (["--model_name=other"], {"model": "other"}),
        (["--model_name", "other"], {"model": "other"}),
        (["--served-model-name=other"], {"model": "other"}),
        (["--model_name=m"], {}),
        (["--task=text_embedding", "--max_length=128"],
         {"maxLength": 128}),
        (["--task=sequence_classification", "--dtype=half"],
         {"task": "text-classification", "dtype": "float16"}),
        (["--task=sequence_classification", "--return_probabilities"],
         {"task": "text-classification", "answers": "kserve-probabilities"}),
        (["--task=token_classification", "--return_raw_logits"],
         {"task": "token-classification", "answers": "kserve-logits"}),
        (["--task=fill_mask", "--return_raw_logits"], {"task": "fill-mask"}),
        (["--model_id=google-bert/bert-base-uncased", "--model_revision=v2", "--task=text_embedding"],
         {}),
    ],
)  # fmt: skip
def test_arguments_of_huggingfaceserver(arguments: list[str], expected: dict[str, Any]) -> None:
    given = (
        arguments
        if any("--task" in each for each in arguments)
        else [*arguments, "--task=text_embedding"]
    )
    found = entry(isvc(model("huggingface", args=given)))
    plain = {"task": "embedding", "answers": "kserve", "dtype": "auto"}
    assert found["options"] == plain | {key: value for key, value in expected.items() if key != "model"}
    assert found.get("model") == expected.get("model")


@pytest.mark.parametrize(
    "task", ["question_answering", "time_series_forecast", "zero_shot_classification"]
)
def test_tasks_that_nobody_can_run_here(task: str) -> None:
    found = one(isvc(model("huggingface", args=[f"--task={task}"])))
    assert any(f"'{task}'" in text for text in errors(found))


@pytest.mark.parametrize(
    "argument", ["--return_probabilities", "--return_raw_logits", "--dtype=float16"]
)
def test_what_a_server_answers_comes_back(argument: str) -> None:
    given = isvc(model("huggingface", args=["--task=sequence_classification", argument]))
    (back,), said = both_ways.inference_services({}, serve_config.write([one(given)]))
    assert back["spec"]["predictor"]["model"]["args"] == given["spec"]["predictor"]["model"]["args"]
    assert "tandem/model" not in back["metadata"].get("annotations", {})
    assert said == []


def test_the_hub_by_an_argument() -> None:
    bare = model("huggingface", args=["--model_id=a/b", "--model_revision=v2", "--task=text_embedding"])
    del bare["model"]["storageUri"]
    assert entry(isvc(bare))["storageUri"] == "hf://a/b@v2"


def test_texts_that_are_generated_are_an_engines() -> None:
    found = entry(
        isvc(
            model(
                "huggingface",
                args=[
                    "--max-model-len=1024",
                    "--enforce-eager",
                    "--gpu-memory-utilization=0.9",
                    "--dtype=bfloat16",
                    "--no-enable-prefix-caching",
                ],
                resources={"limits": {"nvidia.com/gpu": "1", "cpu": "6"}},
            )
        )
    )
    assert found["modelFormat"] == "vllm"
    assert found["engine"] == {
        "max_model_len": 1024, "enforce_eager": True, "gpu_memory_utilization": 0.9,
        "dtype": "bfloat16", "enable_prefix_caching": False,
    }  # fmt: skip
    assert found["resources"] == {"num_cpus": 6, "num_gpus": 1}


def test_a_task_that_tandem_alone_is_told() -> None:
    note = {"tandem/model": "options: {task: embedding}"}
    for form in ("huggingface", "transformers"):
        found = entry(isvc(model(form), annotations=note))
        assert (found["modelFormat"], found["options"]) == ("transformers", {"task": "embedding"})
