"""A Tokenizer's encoders follow the replicas: before them, with them, and where they refuse files."""

import asyncio
import shutil

import pytest
from ray.exceptions import ActorDiedError

from serve_app.config import RemoteModel, parse
from serve_app.deployments import encoders
from serve_app.errors import ConfigError, VersionGone
from serve_app.repository.storage import hold
from serve_app.runtimes.texts import Recipe, digest
from serve_app.runtimes.tokenizers import read_recipe
from tests.unit.held import soon
from tests.unit.repository.stores import Memory
from tests.unit.runtimes.texts import save_classifier, texts
from tests.unit.waiting import until


class Replica:
    """Has read `folder` / version, when it was told to."""

    def __init__(self, folder) -> None:
        self.folder, self.read, self.errors, self.asked = folder, {}, [], 0
        self.broken: dict[str, str] = {}

    def load(self, version="1", length=9):
        options = {"task": "text-classification", "maxLength": length}
        about = {"modelFormat": "transformers", "storageUri": "unused", "options": options}
        recipe, _ = read_recipe(parse(RemoteModel, about), self.folder / version)
        self.read[version] = recipe.packed()

    async def recipe(self, version):
        self.asked += 1
        if self.errors:
            raise self.errors.pop()
        if version in self.broken:
            raise ConfigError(self.broken[version])
        if version not in self.read:
            raise VersionGone(version)
        return self.read[version]


@pytest.fixture
def replica(tmp_path, monkeypatch):
    monkeypatch.setattr(encoders, "_LOOK_S", 0.01)
    monkeypatch.setattr(encoders, "_AGAIN_S", 0.01)
    (tmp_path / "1").mkdir()
    save_classifier(tmp_path / "1")
    return Replica(tmp_path)


def made(replica, patience=60.0, **more):
    options = {"task": "text-classification"}
    about = {
        "modelFormat": "transformers",
        "storageUri": str(replica.folder),
        "options": options,
        **more,
    }

    async def versions():
        return replica.read

    return encoders.Encoders(parse(RemoteModel, about), replica.recipe, versions, patience)


def length(one: encoders.Encoders, version="1") -> int:
    """By which one tells the recipes apart."""
    return one.by_version[version].encode(texts("a b c d e " * 9)["text"])["input_ids"].shape[1]


def change(replica, version="1"):
    (replica.folder / version / "special_tokens_map.json").write_text("{}")


async def behind(replica) -> encoders.Encoders:
    """Of files of before: the replica has taken what they are now."""
    replica.load(length=5)
    one = made(replica)
    await one.load()
    change(replica)
    replica.load(length=7)
    return one


async def test_not_before_a_replica_has_the_version(replica):
    one = made(replica)
    replica.errors = [ActorDiedError()]
    loading = asyncio.create_task(one.load())
    await until(lambda: replica.asked > 3)
    assert not loading.done()
    replica.load()
    await soon(loading)
    assert length(one) == 9


async def test_one_that_read_other_files_is_about_to_go(replica):
    replica.load(length=5)
    change(replica)
    one = made(replica)
    loading = asyncio.create_task(one.load())
    await until(lambda: replica.asked > 3)
    assert not loading.done()
    replica.load(length=7)
    await soon(loading)
    assert length(one) == 7


async def test_tokens_are_those_of_the_network_that_there_is(replica, caplog):
    """Of files that were changed and not deployed: a Tokenizer that died is there again all the same."""
    replica.load(length=5)
    change(replica)
    one = made(replica, patience=0.05)
    await soon(one.load())
    assert length(one) == 5
    assert "isn't what its replicas have read" in caplog.text
    replica.load(length=7)  # and a replica that comes late is noticed
    await until(lambda: length(one) == 7)


async def test_files_that_the_replicas_refused_change_nothing(replica):
    replica.load(length=5)
    one = made(replica)
    await one.load()
    change(replica)
    await soon(one.refresh())
    assert length(one) == 5
    replica.load(length=7)  # with a package that was missing, say: the same files
    await soon(one.refresh())
    assert length(one) == 7
    asked = replica.asked
    await soon(one.refresh())
    assert replica.asked == asked


async def test_a_new_version_that_they_refused_holds_nobody_up(replica):
    replica.load()
    one = made(replica)
    await one.load()
    shutil.copytree(replica.folder / "1", replica.folder / "2")
    with pytest.raises(VersionGone):
        await soon(one.refresh())
    assert list(one.by_version) == ["1"]
    replica.load("2")
    await soon(one.refresh())
    assert list(one.by_version) == ["1", "2"]


async def test_a_version_that_they_cannot_load_holds_nobody_up(replica):
    replica.load()
    shutil.copytree(replica.folder / "1", replica.folder / "2")
    replica.broken["2"] = "model 'm' version 2: no weights"
    one = made(replica)
    await soon(one.load())
    assert list(one.by_version) == ["1"]
    del replica.broken["2"]
    replica.load("2")
    await until(lambda: list(one.by_version) == ["1", "2"])  # at a deploy, or a replica that came late


async def test_of_the_newest_the_one_that_the_replicas_have(replica):
    """They serve an older one where the newest can't be loaded."""
    replica.load()
    shutil.copytree(replica.folder / "1", replica.folder / "2")
    replica.broken["2"] = "model 'm' version 2: no weights"
    one = made(replica, versions="latest")
    await soon(one.load())
    assert list(one.by_version) == ["1"]
    del replica.broken["2"]
    replica.load("2")
    await until(lambda: list(one.by_version) == ["2"])


@pytest.mark.parametrize("policy", ["all", "latest"])
async def test_a_version_that_nobody_was_told_of_holds_nobody_up(replica, policy):
    """Replicas are told of what is new when their application runs, with this Tokenizer."""
    replica.load()
    for version in "23":
        shutil.copytree(replica.folder / "1", replica.folder / version)
    one = made(replica, patience=0.05, versions=policy)
    await soon(one.load())
    assert list(one.by_version) == ["1"]
    replica.load("2")
    replica.load("3")
    await until(lambda: list(one.by_version) == (["1", "2", "3"] if policy == "all" else ["3"]))


async def test_what_came_up_while_replicas_were_asked_is_over_later(replica, caplog):
    one = await behind(replica)
    replica.errors = [RuntimeError("and again"), RuntimeError("the hop failed")]
    with pytest.raises(RuntimeError, match="the hop failed"):
        await soon(one.refresh())
    await until(lambda: length(one) == 7)
    assert "stays as it is: and again" in caplog.text


async def test_where_only_transformers_can(replica):
    replica.read["1"] = Recipe("", (), False, 16, digest(replica.folder / "1")).packed()
    one = made(replica)
    await soon(one.load())
    assert length(one) == 16


class Stored(Replica):
    """Has read the version that the store had when it was told to, through the cache."""

    def load(self, version="1", length=9):
        options = {"task": "text-classification", "maxLength": length}
        about = {"modelFormat": "transformers", "storageUri": "s3://bucket/m", "options": options}
        self.held = hold("s3://bucket/m", "all")
        recipe, _ = read_recipe(parse(RemoteModel, about), self.held.folders[version])
        self.read[version] = recipe.packed()


@pytest.fixture
def stored(replica, tmp_path, monkeypatch):
    monkeypatch.setenv("TANDEM_CACHE", str(tmp_path / "cache"))
    files = {f"1/{one.name}": one.read_bytes() for one in (tmp_path / "1").iterdir()}
    store = Memory(files)
    monkeypatch.setattr("serve_app.repository.fetching.store", store)
    return Stored("s3://bucket/m"), store


async def test_a_tokenizer_fetches_nothing(stored):
    replica, store = stored
    replica.load()
    asked = len(store.asked)
    one = made(replica)
    await soon(one.load())
    assert length(one) == 9
    assert len(store.asked) == asked


async def test_of_a_store_it_follows_the_replicas_too(stored, caplog):
    replica, store = stored
    replica.load(length=5)
    store.files["1/special_tokens_map.json"] = b"{}"
    one = made(replica, patience=0.05)
    await soon(one.load())  # it was changed, and the replicas are as they were
    assert length(one) == 5
    assert "isn't what its replicas have read" in caplog.text
    replica.load(length=7)
    await until(lambda: length(one) == 7)
    agreed = one._later
    assert agreed is not None
    await soon(agreed)


async def test_a_store_that_is_down_holds_no_tokenizer_up(stored, monkeypatch):
    replica, store = stored
    monkeypatch.setattr("serve_app.repository.fetching.PAUSE_S", 0.001)
    replica.load()

    def top():
        raise TimeoutError("timed out")

    store.top = top
    one = made(replica)
    await soon(one.load())
    assert length(one) == 9
    one._later.cancel()


async def test_what_only_transformers_can_is_read_where_the_replica_read_it(stored):
    """Although the store has another by now: by what pins it in the cache."""
    replica, store = stored
    replica.load()
    pinned = replica.held.state["1"]
    replica.read["1"] = Recipe("", (), False, 16, pinned).packed()
    store.files["1/special_tokens_map.json"] = b"{}"
    asked = len(store.asked)
    one = made(replica, patience=0.05)
    await soon(one.load())
    assert length(one) == 16
    assert len(store.asked) == asked
    one._later.cancel()


async def test_what_is_read_stays_where_a_look_fails(stored):
    replica, store = stored
    replica.load()
    replica.read["1"] = Recipe("", (), False, 16, replica.held.state["1"]).packed()
    one = made(replica)
    await soon(one.load())
    held = list(one._held)
    assert held
    for name, data in list(store.files.items()):
        store.files[name.replace("1/", "2/", 1)] = data  # which no replica has
    with pytest.raises(VersionGone):
        await soon(one.refresh())
    assert one._held == held
    assert [each._users for each in held] == [1]
    assert length(one) == 16
