import numpy as np
import pytest

from serve_app.config import ModelConfig, parse
from serve_app.errors import ConfigError
from serve_app.protocol.tensors import TensorSpec
from serve_app.runtimes.base import create, is_async


def runtime(name: str, folder=None, **changes):
    data = {"modelFormat": "python", "class": f"tests.unit.models:{name}"} | changes
    return create(parse(ModelConfig, data), folder)


def loaded(name: str, folder=None, **changes):
    made = runtime(name, folder, **changes)
    made.load()
    return made


X = {"x": np.ones((1, 2), dtype=np.float32)}


def test_the_five_verbs_reach_the_users_object(tmp_path):
    made = loaded("Double", tmp_path, options={"by": 3})
    user = made._model
    assert user.folder == tmp_path
    made.warm_up(X)
    assert user.seen == [(1, 2)]
    assert made.predict(X, {})["y"].tolist() == [[3, 3]]
    assert made.predict(X, {"by": 0.5})["y"].tolist() == [[0.5, 0.5]]
    assert not is_async(made)
    made.close()
    assert user.closed


def test_without_storage_the_folder_is_none():
    assert loaded("Double")._model.folder is None


async def test_an_async_predict_stays_visible_and_is_not_warmed():
    made = loaded("AsyncDouble")
    assert is_async(made)
    made.warm_up(X)
    assert (await made.predict(X, {}))["x"].tolist() == [[2, 2]]


def test_the_classs_declaration_unless_the_configuration_has_one():
    about = loaded("Double").metadata()
    assert about.inputs == [TensorSpec("x", "FP32", (-1, 2))]
    assert about.outputs == [TensorSpec("y", "FP32", (-1, 2))]
    mine = [{"name": "x", "datatype": "FP16", "shape": [-1]}]
    about = loaded("Double", inputs=mine).metadata()
    assert about.inputs == [TensorSpec("x", "FP16", (-1,))]
    assert about.outputs == [TensorSpec("y", "FP32", (-1, 2))]
    assert loaded("AsyncDouble").metadata().inputs == []


def test_options_that_do_not_fit_name_the_class_and_the_option():
    with pytest.raises(ConfigError, match=r"options don't fit tests.unit.models:Double: .*'bye'"):
        loaded("Double", options={"bye": 3})
    with pytest.raises(ConfigError, match=r"options don't fit tests.unit.models:Returns: .*'what'"):
        loaded("Returns")


def test_a_class_without_predict():
    with pytest.raises(ConfigError, match=r"NoPredict has no predict\(inputs, parameters\)"):
        loaded("NoPredict")


def made_of(monkeypatch, kind):
    monkeypatch.setattr("tests.unit.models.Made", kind, raising=False)
    return loaded("Made")


class FailsInside:
    def __init__(self):
        self.sum = "1" + 1

    def predict(self, inputs, parameters): ...


class OneArgument:
    def predict(self, inputs): ...


class MoreArguments:
    def predict(self, *anything, **more): ...


def test_a_type_error_of_the_users_code_isnt_taken_for_wrong_options(monkeypatch):
    with pytest.raises(TypeError, match="can only concatenate"):
        made_of(monkeypatch, FailsInside)


def test_a_predict_that_every_request_would_find_wrong(monkeypatch):
    with pytest.raises(
        ConfigError, match=r"Made: predict is called with \(inputs, parameters\): too many"
    ):
        made_of(monkeypatch, OneArgument)
    made_of(monkeypatch, MoreArguments)


def test_what_is_no_class(monkeypatch):
    with pytest.raises(ConfigError, match="Made is no class, but a dict"):
        made_of(monkeypatch, {})


@pytest.mark.parametrize(
    "path", ["tests.unit.models:Nobody", "tests.unit.nothing:X", "tests.unit.models", "", ":X", "a.b"]
)
def test_a_class_that_cannot_be_imported(path):
    with pytest.raises(ConfigError):
        loaded("x", **{"class": path})


class Told:
    """What a class is told; `predict` is there so that it is a model."""

    def predict(self, inputs, parameters):
        return inputs


class ByConstructor(Told):
    def __init__(self, folder, version, *, name, by=1):
        self.told = (folder, version, name, by)


class ByLoad(Told):
    def load(self, folder, version, name):
        self.told = (folder, version, name, 2)


class ByLoadsKeywords(Told):
    def load(self, path, *, name, version):
        self.told = (path, version, name, 2)


class ByLoadsRest(Told):
    def load(self, *arguments):
        self.told = (*arguments, "2", "m", 2)


@pytest.mark.parametrize("kind", [ByConstructor, ByLoad, ByLoadsKeywords, ByLoadsRest])
def test_a_class_is_told_its_versions_folder_its_version_and_its_name(tmp_path, kind):
    options = {"by": 2} if kind is ByConstructor else {}
    data = {"name": "m", "modelFormat": "python", "class": f"{__name__}:{kind.__name__}"}
    made = create(parse(ModelConfig, {**data, "options": options}), tmp_path, version="2")
    made.load()
    assert made._model.told == (tmp_path, "2", "m", 2)


class Counts(Told):
    def __init__(self, version="of its own"):
        self.version = version

    def load(self):
        self.loaded = True


def test_options_come_before_what_it_would_be_told():
    made = create(
        parse(
            ModelConfig,
            {"modelFormat": "python", "class": f"{__name__}:Counts", "options": {"version": "mine"}},
        ),
        None,
        version="2",
    )
    made.load()
    assert (made._model.version, made._model.loaded) == ("mine", True)


@pytest.mark.parametrize("kind", ["Told", "Counts"])
def test_a_storage_uri_that_the_class_cant_take_is_refused(tmp_path, kind):
    made = create(parse(ModelConfig, {"modelFormat": "python", "class": f"{__name__}:{kind}"}), tmp_path)
    with pytest.raises(ConfigError, match=f"{kind} takes no folder: .* needs a parameter `folder`"):
        made.load()
