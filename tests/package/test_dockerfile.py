"""What an image must and must not be, read from the Dockerfile: no engine is needed."""

import re
from fnmatch import fnmatchcase
from pathlib import Path

import pytest

import serve_app

ROOT = Path(__file__).parents[2]
LOCKS = ROOT / "configs/locks"
Instruction = tuple[str, str]


@pytest.fixture
def instructions() -> list[Instruction]:
    """(KEYWORD, rest) in order, continued lines joined, comments dropped."""
    text = re.sub(r"^\s*#.*\n", "", (ROOT / "Dockerfile").read_text(), flags=re.MULTILINE)
    lines = re.sub(r"\\\n\s*", " ", text).splitlines()
    return [(line.split()[0].upper(), line.split(None, 1)[1]) for line in lines if line.strip()]


@pytest.fixture
def stages(instructions: list[Instruction]) -> dict[str, list[Instruction]]:
    """Every stage by name, with the stages it builds on: what ends up in its image."""
    stages: dict[str, list[Instruction]] = {}
    stage: list[Instruction] = []
    for keyword, rest in instructions:
        if keyword == "FROM":
            source, *name = re.split(r"\s+as\s+", rest, flags=re.IGNORECASE)
            stage = list(stages.get(source, []))
            stages[name[0] if name else ""] = stage
        stage.append((keyword, rest))
    return stages


@pytest.fixture
def final(stages: dict[str, list[Instruction]]) -> list[Instruction]:
    """The last stage, which has no name: what is built without `--target`."""
    name, stage = list(stages.items())[-1]
    assert name == ""
    return stage


@pytest.fixture
def twin(stages: dict[str, list[Instruction]]) -> list[Instruction]:
    """KServe's model server, for configs/kserve."""
    return stages["kserve-twin"]


@pytest.mark.parametrize("image", ["final", "twin"])
def test_not_root(image: str, request: pytest.FixtureRequest) -> None:
    stage = request.getfixturevalue(image)
    users = [rest for keyword, rest in stage if keyword == "USER"]
    assert users[-1] == "1000:1000"
    after = stage[stage.index(("USER", "1000:1000")) :]
    assert not any(keyword in ("RUN", "COPY", "ADD") for keyword, _ in after)
    assert not any("sudo" in rest for _, rest in stage)


def test_base_is_pinned(instructions: list[Instruction]) -> None:
    args = dict(rest.split("=", 1) for keyword, rest in instructions if keyword == "ARG")
    stages = [
        re.split(r"\s+as\s+", rest, flags=re.IGNORECASE) for key, rest in instructions if key == "FROM"
    ]
    names = {name[0] for _, *name in stages if name}
    sources = [re.sub(r"\$\{(\w+)\}", lambda match: args[match[1]], source) for source, *_ in stages]
    outside = [source for source in sources if source not in names]
    assert outside == ["python:3.11-slim"]


def test_system_packages(final: list[Instruction]) -> None:
    (install,) = (rest for keyword, rest in final if keyword == "RUN" and "apt-get install" in rest)
    packages = re.search(r"--no-install-recommends ([a-z ]+?) *&&", install)
    assert packages
    assert packages[1].split() == ["bash", "tini", "wget"]  # wget: KubeRay's readiness probe


def test_python_packages_are_the_locked_ones(instructions: list[Instruction]) -> None:
    installs = [rest for keyword, rest in instructions if keyword == "RUN" and "pip install" in rest]
    assert installs
    assert all("--no-deps" in install for install in installs)
    torch, *twin, lock, batch, own = installs
    assert "--require-hashes --requirement configs/locks/gpu.txt" in torch  # for VARIANT=gpu alone
    assert lock.startswith('test "$VARIANT" = llm-gpu || pip install')  # vLLM's lock is whole
    assert "--require-hashes --requirement configs/locks/serve.txt" in lock
    assert "configs/locks/batch.txt" not in lock  # pandas is a weight on each process of Serve
    assert "--require-hashes --target /venv/batch " in batch
    assert batch.endswith("--requirement configs/locks/batch.txt")
    job = (ROOT / "configs/k8s/ray/rayjob.yaml").read_text()
    assert job.count("{name: PYTHONPATH, value: /venv/batch}") == 1  # of the head; the workers' is its
    assert job.count("env: *batch") == 1
    assert own.endswith(" .")
    assert len(twin) == 2
    assert all("--require-hashes" in install for install in twin)
    version = re.search(r"^TORCH := (\S+)$", (ROOT / "Makefile").read_text(), re.MULTILINE)
    assert version
    assert f'${{TORCH_INDEX:+--index-url "$TORCH_INDEX"}} torch=={version[1]} ' in torch
    assert (
        'pip show torch | grep -q "^Requires:.*cuda"' in torch
    )  # PyPI's, which can't be imported alone
    arguments = dict(rest.split("=", 1) for keyword, rest in instructions if keyword == "ARG")
    assert arguments["VARIANT"] == "cpu"
    assert arguments["TORCH_INDEX"] == "https://download.pytorch.org/whl/cpu"
    assert re.search(rf"^torch=={re.escape(version[1])} ", (LOCKS / "gpu.txt").read_text(), re.MULTILINE)


def test_the_twin_has_the_packages_that_it_is_measured_with(
    stages: dict[str, list[Instruction]],
) -> None:
    """The Makefile's for .venv-kserve, in its order: a later lock may go before an earlier one."""
    makefile = (ROOT / "Makefile").read_text()
    wanted = re.findall(r"call pip,\.venv-kserve\) --no-deps -r \$\(LOCKS\)/(\S+)", makefile)
    assert wanted == ["kserve.txt", "kserve-bench.txt"]
    locks = " ".join(f"configs/locks/{name}" for name in wanted)
    assert ("COPY", f"{locks} configs/locks/") in stages["kserve-build"]
    runs = " ".join(rest for keyword, rest in stages["kserve-build"] if keyword == "RUN")
    # Those for GPUs are the shared torch stage's, for another VARIANT.
    assert re.findall(r"--requirement configs/locks/(\S+)", runs) == ["gpu.txt", "llm-gpu.txt", *wanted]
    assert "torch==" in runs


def test_the_twin_leaves_the_default_image_alone(final: list[Instruction]) -> None:
    assert not any("kserve" in rest or "loadtests" in rest for _, rest in final)


def test_nothing_for_gpus_unless_asked_for(instructions: list[Instruction]) -> None:
    """CUDA's libraries are in one lock, which one branch reads."""
    text = (ROOT / "Dockerfile").read_text().lower()
    assert not re.search(r"nvidia|\bcu1\d\d|rocm|triton|latest", text)
    (torch,) = (rest for _, rest in instructions if "gpu.txt" in rest and "pip install" in rest)
    assert re.search(r" gpu\) pip install [^;]*/gpu\.txt", torch)
    assert re.search(r" llm-gpu\) pip install [^;]*/llm-gpu\.txt", torch)
    for name in ("serve", "dev", "kserve", "kserve-bench", "mlserver"):
        lock = (LOCKS / f"{name}.txt").read_text()
        assert not re.search(r"^(torch|triton|nvidia-\S*|cuda-\S*)==", lock, re.MULTILINE), name
    lock = (LOCKS / "gpu.txt").read_text()
    packages = re.findall(r"^([a-z0-9-]+)==", lock, re.MULTILINE)
    assert "torch" in packages
    assert all(re.match(r"torch|triton|nvidia-|cuda-", package) for package in packages)
    assert lock.count("--hash=sha256:") >= len(packages)


def test_no_secrets(instructions: list[Instruction]) -> None:
    for keyword, rest in instructions:
        assert keyword != "ADD"  # fetches and unpacks
        if keyword in ("ARG", "ENV"):
            assert not re.search(r"token|secret|passw|key\b|credential", rest, re.IGNORECASE)


def test_ready_to_run(final: list[Instruction]) -> None:
    assert [rest for keyword, rest in final if keyword == "WORKDIR"][-1] == "/app"
    assert ("EXPOSE", "8000 9000 8265 6379") in final
    assert ("ENTRYPOINT", '["tini", "--"]') in final
    env = " ".join(rest for keyword, rest in final if keyword == "ENV")
    assert "PATH=/venv/bin:$PATH" in env  # KubeRay calls `ray`
    assert ("COPY", "--from=build /app/.models /app/.models") in final  # as in rayservice.yaml
    labels = " ".join(rest for keyword, rest in final if keyword == "LABEL")
    assert f'org.opencontainers.image.version="{serve_app.__version__}"' in labels


def test_the_twin_is_ready_to_run(twin: list[Instruction]) -> None:
    """From /app, as `python -m loadtests.kserve` does from the repository's root."""
    assert [rest for keyword, rest in twin if keyword == "WORKDIR"] == ["/app"]
    copies = [rest for keyword, rest in twin if keyword == "COPY"]
    assert copies == [
        "--from=kserve-build /venv /venv",
        "serve_app serve_app",
        "loadtests loadtests",
        "configs/bench.yaml configs/bench.yaml",
    ]
    assert ("ENTRYPOINT", '["tini", "--", "python", "-m", "loadtests.kserve"]') in twin
    assert not any(keyword == "CMD" for keyword, _ in twin)  # the manifests say the rest
    assert ("EXPOSE", "8080 9000") in twin
    env = " ".join(rest for keyword, rest in twin if keyword == "ENV")
    assert "PATH=/venv/bin:$PATH" in env
    labels = " ".join(rest for keyword, rest in twin if keyword == "LABEL")
    assert f'org.opencontainers.image.version="{serve_app.__version__}"' in labels


def test_copied_files_exist_and_pass_the_dockerignore(instructions: list[Instruction]) -> None:
    copies = [rest.split() for keyword, rest in instructions if keyword == "COPY"]
    sources = [source for words in copies if "--from" not in words[0] for source in words[:-1]]
    assert len(sources) == 12
    for source in sources:
        assert (ROOT / source).exists(), source
        assert not ignored(source), source


@pytest.mark.parametrize(
    "path",
    [
        ".git", ".git/config", ".venv", ".venv/bin/python", ".venv-kserve", ".models", ".env",
        "tests/conftest.py", "secrets.yaml", "serve_app/__pycache__", "serve_app/__pycache__/a.pyc",
    ],
)  # fmt: skip
def test_dockerignore_keeps_out(path: str) -> None:
    assert ignored(path)


def test_dockerignore_lets_in() -> None:
    assert not ignored("serve_app/protocol/inference.proto")
    assert not ignored("configs/locks/serve.txt")


def ignored(path: str) -> bool:
    """Docker's rule: the last line that matches the path or a folder around it decides."""
    parts = path.split("/")
    places = ["/".join(parts[: count + 1]) for count in range(len(parts))]
    out = False
    for line in (ROOT / ".dockerignore").read_text().splitlines():
        pattern = line.strip()
        if not pattern or pattern.startswith("#"):
            continue
        keep = pattern.startswith("!")
        if any(_matches(place, pattern.removeprefix("!")) for place in places):
            out = not keep
    return out


def _matches(place: str, pattern: str) -> bool:
    if pattern.startswith("**/"):
        return fnmatchcase(place.rsplit("/", 1)[-1], pattern[3:])
    return place.count("/") == pattern.count("/") and fnmatchcase(place, pattern)


def test_haproxy_is_the_attentive_one():
    """Built by our wrapper, and the one that Serve is told to start."""
    text = (ROOT / "Dockerfile").read_text()
    assert "haproxy_wrapper(Path('/venv/bin'), narrow=False)" in text
    # By the package that is in the image: the wrapper names the place of its modules.
    assert 'RUN python -I -c "from pathlib import Path; from serve_app.internals.haproxy' in text
    assert "RAY_SERVE_HAPROXY_BINARY_PATH=/venv/bin/haproxy" in text
