"""What an OpenAIUser asks: Locust options for the model, the length and the prompts."""

import http.client
import random
import urllib.error
import urllib.request
from functools import cache
from pathlib import Path
from typing import Any

import orjson
from locust import events

from loadtests.payloads import PROMPT_SENTENCES, SENTENCES
from loadtests.tokens import Tokens
from loadtests.users import HOST, HTTP_PORT

URL = f"http://{HOST}:{HTTP_PORT}"


def prompt(options: Any) -> str:
    """One of the file's, or else 1 to 8 sentences, 1 to about 130 words."""
    if options.prompts:
        return random.choice(_read(options.prompts))
    # In a new order each time: a server that remembers beginnings would answer too early.
    return " ".join(random.sample(SENTENCES, random.randint(1, PROMPT_SENTENCES)))


@cache
def _read(path: str) -> list[str]:
    prompts = [line for line in Path(path).read_text(encoding="utf-8").splitlines() if line.strip()]
    if not prompts:
        raise ValueError(f"{path}: no prompt in it")
    return prompts


def _find_model(environment: Any) -> None:
    """Without --model, the first of the server's; ValueError when there is none, or no server."""
    url = f"{(environment.host or URL).rstrip('/')}/v1/models"
    first = ""
    try:
        with urllib.request.urlopen(url, timeout=10) as answer:
            first = str(orjson.loads(answer.read())["data"][0]["id"])
    except urllib.error.HTTPError as error:
        error.close()
    except OSError as error:
        raise ValueError(f"no server at {url} ({error})") from None
    except (ValueError, LookupError, TypeError, http.client.HTTPException):
        pass  # it may answer all the same, when the model is known
    options = environment.parsed_options
    options.model = options.model or first
    if not options.model:
        raise ValueError(f"{url} names no model; name one with --model")


@events.init_command_line_parser.add_listener  # type: ignore[untyped-decorator]
def _options(parser: Any, **_: Any) -> None:
    group = parser.add_argument_group("OpenAI's protocol")
    group.add_argument("--model", help="its name; else the first of the server's", default="")
    group.add_argument("--max-tokens", type=int, default=128, help="of an answer")
    group.add_argument("--slo-ttft", type=float, default=1000, help="ms, of the goodput's answers")
    group.add_argument("--slo-itl", type=float, default=100, help="ms, the mean of one answer")
    group.add_argument("--prompts", help="a file with one on each line; else built-in ones", default="")


@events.init.add_listener  # type: ignore[untyped-decorator]
def _begin(environment: Any, **_: Any) -> None:
    """What is wrong ends the run at once, with a hint."""
    options = environment.parsed_options
    if options is None:
        return
    environment.tokens = tokens = Tokens(environment)
    if options.worker:
        return  # it gets the master's options
    environment.events.quit.add_listener(lambda **_: print(tokens.summary()))
    try:
        if options.max_tokens < 1:
            raise ValueError("--max-tokens must be above 0")
        if options.prompts:
            _read(options.prompts)
        if options.headless:
            _find_model(environment)
    except (ValueError, OSError) as error:
        raise SystemExit(str(error)) from None


@events.test_start.add_listener  # type: ignore[untyped-decorator]
def _begin_on_page(environment: Any, **_: Any) -> None:
    """The page has told the host by now."""
    options = environment.parsed_options
    if options is not None and not (options.worker or options.model):
        _find_model(environment)


@events.quitting.add_listener  # type: ignore[untyped-decorator]
def _something_answered(environment: Any, **_: Any) -> None:
    """Locust calls a run without a single request a success."""
    if not environment.stats.total.num_requests and environment.process_exit_code is None:
        environment.process_exit_code = 1
