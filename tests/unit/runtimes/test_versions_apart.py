"""One version appears, changes, breaks or goes: the others of its model aren't touched."""

import asyncio
import gc
import weakref

import numpy as np
import pytest

from serve_app.config import ModelConfig, parse
from serve_app.errors import ConfigError, VersionGone
from serve_app.runtimes import host as module
from serve_app.runtimes.current import CurrentHost
from serve_app.runtimes.host import ModelHost

X = {"x": np.ones((1, 2), dtype=np.float32)}


class Times:
    """Multiplies by the number in its folder."""

    def load(self, folder):
        self.by = int((folder / "by").read_text())

    def predict(self, inputs, parameters):
        return {"y": inputs["x"] * self.by}


@pytest.fixture
def folder(tmp_path):
    write(tmp_path, "1", "10")
    write(tmp_path, "2", "20")
    return tmp_path


def write(folder, version: str, by: str) -> None:
    (folder / version).mkdir(exist_ok=True)
    (folder / version / "by").write_text(by)


def host(folder, before=None, load=True, **more) -> ModelHost:
    about = {"name": "m", "modelFormat": "python", "class": f"{__name__}:Times",
             "storageUri": str(folder), **more}  # fmt: skip
    made = ModelHost(parse(ModelConfig, about), before=before)
    if load:
        made.loaded = [one.version for one in made.load()]  # type: ignore[attr-defined]
    return made


async def answers(made: ModelHost) -> dict[str, float]:
    return {v: float((await made.predict(v, X, {}))["y"][0, 0]) for v in made.versions}


async def test_a_version_that_appears_is_loaded_alone(folder):
    old = host(folder)
    write(folder, "3", "30")
    assert old.changed()
    new = host(folder, old)
    assert new.loaded == ["3"]
    assert {v: new.versions[v] is old.versions[v] for v in "12"} == {"1": True, "2": True}
    old.close(keep=new)
    assert await answers(new) == {"1": 10, "2": 20, "3": 30}
    assert not new.changed()
    new.close()


async def test_a_version_that_changes_is_loaded_alone_and_the_one_of_before_is_closed(folder):
    old = host(folder)
    changed, kept = old.versions["1"], old.versions["2"]
    write(folder, "1", "11")
    new = host(folder, old)
    assert new.loaded == ["1"]
    assert new.versions["2"] is kept
    assert await answers(old) == {"1": 10, "2": 20}
    assert old.leaving(new) == [changed]
    old.close(keep=new)
    assert await answers(new) == {"1": 11, "2": 20}
    gone = weakref.ref(changed)
    del changed
    gc.collect()
    assert gone() is None  # with its memory
    new.close()


async def test_a_version_that_goes_is_closed_alone(folder):
    old = host(folder)
    (folder / "1" / "by").unlink()
    (folder / "1").rmdir()
    new = host(folder, old)
    assert (new.loaded, list(new.versions)) == ([], ["2"])
    old.close(keep=new)
    assert await answers(new) == {"2": 20}
    new.close()


async def test_one_that_cannot_be_loaded_leaves_its_siblings_alone(folder):
    write(folder, "2", "broken")
    made = host(folder)
    assert made.loaded == ["1"]
    assert await answers(made) == {"1": 10}
    assert list(made.failed) == ["2"]
    assert made.failed["2"].startswith("model 'm' version 2: ValueError")
    assert (made.wanted, made.describe(None, 1).failed) == (("1", "2"), made.failed)
    assert made.changed()  # at the next deploy it is tried again
    write(folder, "2", "22")
    fresh = host(folder, made)
    assert (fresh.loaded, fresh.failed) == (["2"], {})
    made.close(keep=fresh)
    assert await answers(fresh) == {"1": 10, "2": 22}
    fresh.close()


async def test_one_that_breaks_stays_what_it_was_beside_one_that_comes(folder):
    old = host(folder)
    write(folder, "1", "broken")
    write(folder, "3", "30")
    new = host(folder, old)
    assert (new.loaded, list(new.failed)) == (["3"], ["1"])
    old.close(keep=new)
    assert await answers(new) == {"1": 10, "2": 20, "3": 30}
    new.close()


async def test_what_goes_on_as_it_was_is_tried_again(folder):
    """Though its files are those that it was read from: it is of the configuration of before."""
    old = host(folder, options={})
    write(folder, "1", "broken")
    new = host(folder, old, revision="b")
    assert (new.loaded, list(new.failed)) == (["2"], ["1"])
    old.close(keep=new)
    write(folder, "1", "10")
    again = host(folder, new, revision="b")
    assert (again.loaded, again.failed) == (["1"], {})
    new.close(keep=again)
    assert await answers(again) == {"1": 10, "2": 20}
    again.close()


async def test_where_nothing_but_failures_comes_nothing_changes(folder):
    old = host(folder)
    write(folder, "3", "broken")
    new = host(folder, old, load=False)
    with pytest.raises(ConfigError, match="model 'm' version 3: ValueError"):
        new.load()
    assert list(new.failed) == ["3"]
    new.close(keep=old)
    other = host(folder, old, load=False, versions=["3"])
    with pytest.raises(ConfigError, match="version 3"):
        other.load()
    other.close(keep=old)
    assert await answers(old) == {"1": 10, "2": 20}
    old.close()


@pytest.mark.parametrize(("policy", "kept"), [("latest", "2"), ({"latest": 2}, "12")])
async def test_the_newest_so_many_that_can_be_loaded(folder, policy, kept):
    old = host(folder, versions=policy)
    assert list(old.versions) == list(kept)
    write(folder, "3", "broken")
    new = host(folder, old, load=False, versions=policy)
    with pytest.raises(ConfigError, match="version 3"):
        new.load()
    new.close(keep=old)
    write(folder, "3", "30")
    new = host(folder, old, versions=policy)
    assert (new.loaded, list(new.versions)) == (["3"], list("123"[-len(kept) :]))
    old.close(keep=new)
    assert (await answers(new))["3"] == 30
    new.close()


@pytest.mark.parametrize(("policy", "kept"), [("latest", "2"), ({"latest": 2}, "12")])
async def test_a_process_that_starts_beside_a_broken_one_has_what_others_had(folder, policy, kept):
    """A Router or replica that is started anew has to have a working version, too."""
    write(folder, "3", "broken")
    made = host(folder, versions=policy)
    assert (list(made.versions), list(made.failed)) == (list(kept), ["3"])
    assert made.wanted == (("3",) if kept == "2" else ("2", "3"))
    write(folder, "2", "broken")
    other = host(folder, versions=policy)
    assert (list(other.versions), sorted(other.failed)) == (["1"], ["2", "3"])
    write(folder, "1", "broken")
    with pytest.raises(ConfigError, match="version"):
        host(folder, versions=policy)
    for one in (made, other):
        one.close()


class Warm(Times):
    """Fails in its warm-up where its folder says so."""

    def predict(self, inputs, parameters):
        if self.by < 0:
            raise ValueError("no such weights")
        return super().predict(inputs, parameters)


async def test_a_version_that_fails_in_its_warm_up_ends_nobody_elses_threads(folder):
    write(folder, "1", "-1")
    warm = {"class": f"{__name__}:Warm", "inputs": [{"name": "x", "datatype": "FP32", "shape": [-1, 2]}]}
    made = host(folder, **warm)
    assert list(made.failed) == ["1"]
    assert await answers(made) == {"2": 20}
    made.close()


async def test_what_serves_may_go_while_another_is_loaded(folder, monkeypatch):
    """By the same threads: they aren't ended before it has any of them."""
    old = host(folder)
    new = host(folder, old, load=False)
    write(folder, "1", "11")
    write(folder, "2", "21")
    load = module.load_version

    def closed_meanwhile(*arguments):
        old.close()
        return load(*arguments)

    monkeypatch.setattr(module, "load_version", closed_meanwhile)
    new.load()
    assert await answers(new) == {"1": 11, "2": 21}
    late = host(folder, new, load=False)
    new.close()
    late.load()  # after they have ended
    assert await answers(late) == {"1": 11, "2": 21}
    late.close()


async def test_another_policy_loads_what_it_adds(folder):
    old = host(folder, versions=["1"])
    new = host(folder, old, versions="all")
    assert (new.loaded, new.versions["1"] is old.versions["1"]) == (["2"], True)
    latest = host(folder, new, versions="latest")
    assert (latest.loaded, list(latest.versions)) == ([], ["2"])
    old.close(keep=new)
    new.close(keep=latest)
    assert await answers(latest) == {"2": 20}
    latest.close()


async def test_a_listed_version_that_isnt_there_is_its_own_affair(folder):
    made = host(folder, versions=["1", "7"])
    assert list(made.versions) == ["1"]
    assert "versions: 7 asked for" in made.failed["7"]
    made.close()
    with pytest.raises(ConfigError, match="versions: 7 asked for"):
        host(folder, versions=["7"])


async def test_another_configuration_loads_all_of_them(folder):
    old = host(folder)
    new = host(folder, old, revision="b")
    assert new.loaded == ["1", "2"]
    old.close(keep=new)
    assert await answers(new) == {"1": 10, "2": 20}
    new.close()
    with pytest.raises(VersionGone):
        await new.predict("1", X, {})


async def test_a_replicas_versions_stay_through_a_deploy(folder):
    config = host(folder, load=False).config
    told: list[list[str]] = []
    current = CurrentHost(config, False, lambda name, some: told.append([s.version for s in some]))
    current.host.load()
    kept = current.host.versions["1"]
    write(folder, "3", "30")
    assert await current.refresh(1.0) == ""
    assert (told, current.host.versions["1"] is kept) == ([["3"]], True)
    write(folder, "2", "broken")
    write(folder, "4", "40")
    assert await current.refresh(2.0) == ""
    assert (told[1:], list(current.host.failed)) == ([["4"]], ["2"])
    write(folder, "5", "broken")
    assert await current.refresh(3.0) == ""  # which is of these versions alone
    assert (sorted(current.failed), current.refused) == (["2", "5"], "")
    found = [float((await current.predict(v, X, {}))["y"][0, 0]) for v in "1234"]
    assert found == [10, 20, 30, 40]
    while current._closing:
        await asyncio.wait(set(current._closing))
    current.host.close()
