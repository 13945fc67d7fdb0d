"""What a model is loaded from, changed: seen, loaded beside what serves, and put in its place."""

import asyncio
import sys
import textwrap
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from serve_app.config import ModelConfig, parse
from serve_app.errors import ConfigError, VersionGone
from serve_app.runtimes.current import CurrentHost
from serve_app.runtimes.host import ModelHost
from serve_app.runtimes.user_code import import_class
from tests.unit.repository.stores import Memory
from tests.unit.waiting import until

X = {"x": np.ones((1, 1), dtype=np.float32)}


@pytest.fixture
def code(tmp_path, monkeypatch):
    """A folder of the user's that Python imports from; its modules are forgotten afterwards."""
    folder = tmp_path / "code"
    folder.mkdir()
    monkeypatch.syspath_prepend(str(folder))
    monkeypatch.setattr(sys, "dont_write_bytecode", True)
    before = set(sys.modules)
    yield folder
    for name in set(sys.modules) - before:
        if str(folder) in str(getattr(sys.modules[name], "__file__", "")):
            del sys.modules[name]


def written(file, text: str) -> None:
    file.parent.mkdir(exist_ok=True, parents=True)
    file.write_text(textwrap.dedent(text))


MODEL = """
    from factors import by

    class Times:
        def load(self, folder):
            self.by = by * int((folder / "factor").read_text()) if folder else by

        def predict(self, inputs, parameters):
            return {"x": inputs["x"] * self.by}
"""


@pytest.fixture
def about(code, tmp_path):
    """A model whose class, helper and file are the user's."""
    written(code / "times_model.py", MODEL)
    written(code / "factors.py", "by = 2")
    written(tmp_path / "m" / "1" / "factor", "1")
    return {"name": "m", "modelFormat": "python", "class": "times_model:Times",
            "storageUri": str(tmp_path / "m")}  # fmt: skip


def host(about) -> ModelHost:
    return ModelHost(parse(ModelConfig, about))


async def answer(one, version: str = "1") -> float:
    return float((await one.predict(version, X, {}))["x"][0, 0])


async def test_what_changed_in_a_store_is_loaded_at_once(about, tmp_path, monkeypatch):
    """Although it was asked a moment ago, when this process started."""
    monkeypatch.setenv("TANDEM_CACHE", str(tmp_path / "cache"))
    store = Memory({"1/factor": b"1"})
    monkeypatch.setattr("serve_app.repository.fetching.store", store)
    config = parse(ModelConfig, about | {"storageUri": "s3://bucket/m"})
    current = CurrentHost(config, False, lambda name, loaded: None)
    current.host.load()
    assert await answer(current) == 2
    store.files["1/factor"] = b"5"
    assert await current.refresh(1.0) == ""
    assert await answer(current) == 10
    store.top = lambda: (_ for _ in ()).throw(PermissionError("Access Denied"))
    assert "no permission: PermissionError: Access Denied" in await current.refresh(2.0)
    assert await answer(current) == 10


async def test_nothing_changed_is_nothing_to_load(about):
    made = host(about)
    made.load()
    assert not made.changed()
    made.close()


@pytest.mark.parametrize(
    ("file", "text", "found"),
    [
        ("m/1/factor", "10", {"1": 20}),
        ("m/2/factor", "5", {"1": 2, "2": 10}),
        ("code/factors.py", "by = 300", {"1": 300}),
        ("code/times_model.py", MODEL.replace("* self.by", "+ self.by"), {"1": 3}),
    ],
)
async def test_what_changed_is_loaded(about, tmp_path, file, text, found):
    made = host(about)
    made.load()
    written(tmp_path / file, text)
    assert made.changed()
    fresh = host(about)
    fresh.load()
    assert {version: await answer(fresh, version) for version in fresh.versions} == found
    assert await answer(made) == 2  # the old one is what it was
    assert not fresh.changed()
    for one in (made, fresh):
        one.close()


async def test_a_folder_that_is_gone_is_a_change(about, tmp_path):
    made = host(about)
    made.load()
    (tmp_path / "m").rename(tmp_path / "n")
    assert made.changed()
    with pytest.raises(ConfigError, match="no folder at"):
        host(about).load()
    made.close()


def test_code_that_cant_be_imported_leaves_what_there_was(about, code):
    first = import_class("times_model:Times")
    written(code / "times_model.py", "import no_such_package")
    for _ in range(2):
        with pytest.raises(ConfigError, match="no_such_package"):
            import_class("times_model:Times")
    assert sys.modules["times_model"].Times is first
    written(code / "times_model.py", MODEL)
    assert import_class("times_model:Times") is not first


def test_code_put_right_after_it_couldnt_be_imported(about, code):
    written(code / "times_model.py", "Tymes = 1")
    with pytest.raises(ConfigError, match="Times"):
        import_class("times_model:Times")
    written(code / "times_model.py", MODEL)
    assert import_class("times_model:Times").__name__ == "Times"


def test_a_package_installed_after_it_was_missing(about, code):
    written(code / "times_model.py", "import late_package\n" + textwrap.dedent(MODEL))
    with pytest.raises(ConfigError, match="late_package"):
        import_class("times_model:Times")
    written(code / "late_package" / "__init__.py", "")
    assert import_class("times_model:Times").__name__ == "Times"


def test_ours_and_installed_ones_stay(about, code):
    import_class("times_model:Times")
    kept = {name: sys.modules[name] for name in ("numpy", "serve_app.errors", "pytest")}
    written(code / "factors.py", "by = 400")
    import_class("times_model:Times")
    assert {name: sys.modules[name] for name in kept} == kept
    assert sys.modules["factors"].by == 400


def current(about) -> tuple[CurrentHost, list[str]]:
    told: list[str] = []
    made = CurrentHost(parse(ModelConfig, about), False, lambda name, loaded: told.append(name))
    made.host.load()
    return made, told


async def test_a_replica_loads_what_changed_once_for_each_deploy(about, tmp_path):
    made, told = current(about)
    assert await made.refresh(1.0) == ""
    written(tmp_path / "m" / "1" / "factor", "10")
    assert await made.refresh(1.0) == ""
    assert await answer(made) == 2
    assert made.loaded == 0
    assert await made.refresh(2.0) == ""
    assert await answer(made) == 20
    assert (told, made.loaded) == (["m"], 2.0)
    written(tmp_path / "m" / "1" / "factor", "none")
    reason = await made.refresh(3.0)
    assert reason.startswith("model 'm' version 1: ValueError")
    assert await made.refresh(3.0) == reason  # another Router asks
    assert made.loaded == 2.0
    assert await answer(made) == 20
    written(tmp_path / "m" / "1" / "factor", "7")
    assert await made.refresh(4.0) == ""
    assert await answer(made) == 14


async def test_a_version_that_isnt_there_any_more_is_gone(about, tmp_path, monkeypatch):
    """When Routers had time to learn of it."""
    made, _ = current(about)
    (tmp_path / "m" / "1").rename(tmp_path / "m" / "2")
    monkeypatch.setattr("serve_app.runtimes.current.LINGER_S", 0.05)
    await made.refresh(1.0)
    assert [await answer(made, number) for number in "12"] == [2, 2]
    await until(lambda: not made._lingering)
    with pytest.raises(VersionGone):
        await made.predict("1", X, {})
    assert await answer(made, "2") == 2
    while made._closing:
        await asyncio.wait(set(made._closing))


async def test_what_runs_ends_before_the_old_one_is_closed(about, code, tmp_path):
    written(
        code / "times_model.py",
        """
        import threading

        class Times:
            go, closed = threading.Event(), []

            def load(self, folder): ...

            def predict(self, inputs, parameters):
                assert self.go.wait(20)
                assert not self.closed
                return inputs

            def close(self):
                self.closed.append(1)
        """,
    )
    made, _ = current(about)
    old = sys.modules["times_model"].Times
    running = asyncio.create_task(made.predict("1", X, {}))
    await asyncio.sleep(0)
    written(tmp_path / "m" / "1" / "factor", "10")
    await made.refresh(1.0)
    assert not old.closed
    old.go.set()
    await running
    while made._closing:
        await asyncio.wait(set(made._closing))
    assert old.closed == [1]


def test_classes_of_one_folder_that_are_imported_anew_at_once(code):
    """A thread that forgets what changed leaves alone what another one imports at that moment."""
    kinds = [f"m{number}" for number in range(4)]
    written(code / "shared.py", "import time\ntime.sleep(0.01)\nby = 0")
    for name in kinds:
        written(code / f"{name}.py", "import shared\nclass A:\n    by = shared.by")
    for turn in range(1, 20):
        with ThreadPoolExecutor(8) as pool:
            found = list(pool.map(import_class, [f"{name}:A" for name in kinds * 2]))
        assert {kind.__name__ for kind in found} == {"A"}
        for name in ("shared", *kinds):
            (code / f"{name}.py").write_text((code / f"{name}.py").read_text() + f"# {turn}\n")


def test_a_class_that_is_named_only_after_its_file_changed(code):
    """Whichever other class the module was imported for, and whichever module imported it."""
    written(code / "several.py", "class A:\n    v = 1\nclass B:\n    v = 1")
    written(code / "helper.py", "v = 1")
    written(code / "uses.py", "from helper import v\nclass U:\n    v = v")
    assert (import_class("several:A").v, import_class("uses:U").v) == (1, 1)
    written(code / "several.py", "class A:\n    v = 20\nclass B:\n    v = 20\nclass C:\n    v = 20")
    assert (import_class("several:B").v, import_class("several:C").v) == (20, 20)
    assert import_class("several:A").v == 20
    written(code / "helper.py", "v = 300")
    written(code / "new_one.py", "from helper import v\nclass N:\n    v = v")
    assert import_class("new_one:N").v == 300


def test_a_new_class_of_a_file_that_is_broken_for_now(code):
    written(code / "mended.py", "class A:\n    v = 1")
    assert import_class("mended:A").v == 1
    for _ in range(2):
        written(code / "mended.py", "class A:\n    v = 22\nnonsense(")
        with pytest.raises(SyntaxError):
            import_class("mended:B")
    assert sys.modules["mended"].A.v == 1  # who has it keeps it
    written(code / "mended.py", "class B:\n    v = 333")
    assert import_class("mended:B").v == 333
    with pytest.raises(ConfigError, match="'A'"):
        import_class("mended:A")
