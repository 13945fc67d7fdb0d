"""The `args` of KServe's servers: which of them say something of the model."""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from serve_app.config.options import OPTIONS
from serve_app.tools.kserve.ledger import Field
from serve_app.tools.kserve.service import Model
from serve_app.tools.kserve.storage import MOUNT

# Of KServe's model server, Triton, TorchServe, TensorFlow Serving and vLLM's front end: ports, logs …
_SERVER = {
    "access_log_format", "allow_credentials", "allow_grpc", "allow_http", "allowed_headers",
    "allowed_methods", "allowed_origins", "api_key", "configure_logging", "disable_fastapi_docs",
    "disable_log_requests", "disable_token_auth", "enable_access_log", "enable_docs_url",
    "enable_grpc", "enable_latency_logging", "enable_model_api", "enable_predictor_health_check",
    "enable_request_id_headers", "file_system_poll_wait_seconds", "framework",
    "grpc_max_receive_message_length", "grpc_max_send_message_length", "grpc_port", "host",
    "http_port", "log_config_file", "log_verbose",
    "max_asyncio_workers", "max_log_len", "max_threads", "model_base_path", "model_control_mode",
    "model_path", "model_repository", "model_store", "port", "predictor_host",
    "predictor_request_timeout_seconds", "predictor_use_ssl", "protocol", "rest_api_port",
    "rest_api_timeout_in_ms", "rest_port", "root_path", "ssl_ca_certs", "ssl_certfile", "ssl_keyfile",
    "start", "strict_model_config", "ts_config", "uds", "uvicorn_log_level", "workers",
}  # fmt: skip
_HUGGING = {
    "disable_lower_case": "the tokenizer does what its files say",
    "disable_special_tokens": "the tokenizer adds what its files say",
    "tensor_input_names": "the network gets what it takes",
    "return_token_type_ids": "the network gets what it takes",
    "return_offsets_mapping": "no offsets are among the outputs",
    "tokenizer_revision": "the tokenizer lies with the model",
}
_DTYPES = {"float": "float32", "half": "float16", "float32": "float32", "float16": "float16"}
_DTYPES |= {"bfloat16": "bfloat16", "auto": "auto"}
_RETURN = {
    "return_probabilities": "kserve-probabilities",
    "return_raw_logits": "kserve-logits",
}
_CLASSIFY = ("text-classification", "token-classification")


@dataclass(frozen=True)
class Argument:
    """`--name=value` or `--name value`; `value` None where there is none. `places`: in the list."""

    name: str
    value: str | None
    places: tuple[Field, ...]

    def carry(self) -> None:
        for one in self.places:
            one.carry()

    def note(self, what: str, why: str = "", fix: str = "") -> None:
        for one in self.places:
            one.note(what, why, fix)

    def warn(self, what: str, why: str = "", fix: str = "") -> None:
        for one in self.places:
            one.warn(what, why, fix)


def parse(one: Field) -> Iterator[Argument]:
    """Those of a container; a word that belongs to none has its own name."""
    words = list(one.each("args"))
    index = 0
    while index < len(words):
        word = words[index]
        text = word.of(str)
        index += 1
        if text is None:
            continue
        if not text.startswith("--"):
            yield Argument("", text, (word,))
            continue
        name, there, value = text[2:].partition("=")
        places = [word]
        following = words[index].data if index < len(words) else None
        if not there and isinstance(following, str) and not following.startswith("--"):
            value, there = following, "="
            places.append(words[index])
            index += 1
        yield Argument(name.replace("-", "_"), value if there else None, tuple(places))


def find(arguments: list[Argument], name: str) -> str | None:
    """The value of one; '' for one without a value, None where it isn't there."""
    return next((one.value or "" for one in reversed(arguments) if one.name == name), None)


def apply(arguments: list[Argument], model: Model) -> None:
    """Put them where they belong in a model's entry; all others are said."""
    for one in arguments:
        if one.name in ("model_name", "served_model_name") and one.value:
            one.carry()
            if one.value != model.name:
                model.put("name" if model.inline else "model", one.value, one.places[0])
        elif one.name == "model_dir" and one.value in (MOUNT, None):
            one.carry()
        elif not one.name:
            one.warn(f"`{one.value}` isn't read", "no server takes it here")
        elif not _known(one, model):
            _server(one, model)


def _server(one: Argument, model: Model) -> None:
    if one.name in _SERVER or one.name.startswith(("log_", "metrics_", "backend_")):
        one.note(f"--{one.name} is of the server that KServe starts", "Tandem is another one")
    elif model.format == "vllm":
        one.carry()
        model.inner("engine", *_engine(one), one.places[0])
    else:
        one.warn(
            f"--{one.name} isn't known",
            "it is of the server that KServe starts, and may say something of the model",
            "`options` in the annotation tandem/model",
        )


def _engine(one: Argument) -> tuple[str, Any]:
    """By vLLM's name, in the type that its text looks like."""
    if one.value is None:
        off = one.name.startswith("no_")
        return (one.name.removeprefix("no_"), False) if off else (one.name, True)
    return one.name, scalar(one.value)


def scalar(text: str) -> Any:
    """A number, a truth value or JSON where it looks like one, else the text."""
    try:
        return json.loads(text)
    except ValueError:
        return {"true": True, "false": False}.get(text.lower(), text)


def _known(one: Argument, model: Model) -> bool:
    """Whether it was one of a format's own."""
    options = OPTIONS.get(model.format)
    if one.name == "nthread" and options and "threads" in options.model_fields:
        return _number(one, "threads", model)
    if one.name in ("task", "backend", "model_id", "model_revision"):
        one.carry()  # the predictor has read them
        return True
    if model.format == "transformers":
        return _transformers(one, model)
    if model.format == "vllm":
        return _engines(one, model)
    return False


def _engines(one: Argument, model: Model) -> bool:
    if one.name == "max_length":
        one.carry()
        model.inner("engine", "max_model_len", _engine(one)[1], one.places[0])
    elif one.name in _HUGGING:
        one.warn(f"--{one.name} isn't carried", "vLLM has no such argument")
    else:
        return False
    return True


def _transformers(one: Argument, model: Model) -> bool:
    if one.name in ("max_length", "max_model_len"):
        return _number(one, "maxLength", model)
    if one.name == "dtype":
        if one.value in _DTYPES:
            one.carry()
            model.inner("options", "dtype", _DTYPES[one.value], one.places[0])
        else:
            one.warn(f"no type '{one.value}' is known", "weights are read in the type of the model's")
    elif one.name in _RETURN:
        if model.entry["options"]["task"] in _CLASSIFY:
            one.carry()
        elif model.entry["options"]["task"] == "fill-mask":
            one.warn(f"--{one.name} isn't carried", "the whole vocabulary for each mask isn't answered")
        else:
            one.note(f"--{one.name} is of classifications, for KServe's server too")
    elif one.name == "trust_remote_code":
        one.warn("code that lies with a model isn't run", "a model of such a kind can't be loaded")
    elif one.name in _HUGGING:
        one.warn(f"--{one.name} isn't carried", _HUGGING[one.name])
    else:
        return False
    return True


def as_there(arguments: list[Argument], model: Model) -> None:
    """Answers as huggingfaceserver's, from weights of the type that it takes."""
    found = [_RETURN[one.name] for one in arguments if one.name in _RETURN]
    values = found and model.entry["options"]["task"] in _CLASSIFY
    model.inner("options", "answers", found[-1] if values else "kserve")
    model.inner("options", "dtype", "auto")


def argument(answers: str) -> str:
    """The argument that makes huggingfaceserver answer so; '' where it does by itself."""
    return next((name for name, found in _RETURN.items() if found == answers), "")


def _number(one: Argument, key: str, model: Model) -> bool:
    if one.value is None or not one.value.isdecimal():
        one.places[-1].wrong(f"--{one.name}: expected a whole number, got '{one.value}'")
        return True
    one.carry()
    model.inner("options", key, int(one.value), one.places[0])
    return True
