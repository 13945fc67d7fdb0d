import pytest

from serve_app.errors import InvalidArgument
from serve_app.releases.registry import model_of


def event(entity: str, action: str, **data) -> dict:
    """As MLflow sends them: https://mlflow.org/docs/latest/ml/webhooks"""
    return {"entity": entity, "action": action, "timestamp": "2025-07-31T08:27:32Z", "data": data}


@pytest.mark.parametrize(
    ("said", "model"),
    [
        (event("model_version", "created", name="m", version="1", source="models:/123"), "m"),
        (event("model_version_alias", "created", name="m", alias="champion", version="1"), "m"),
        (event("model_version_tag", "set", name="m", version="1", key="a", value="b"), "m"),
        (event("registered_model", "created", name="m"), None),
        (event("model_version_alias", "deleted", name="m", alias="champion"), None),
        (event("prompt_version", "created", name="p", version="1"), None),
        ({"model": "m"}, "m"),
    ],
)
def test_which_model_is_to_be_loaded(said, model):
    assert model_of(said) == model


@pytest.mark.parametrize(
    "said", [None, [], "m", {}, {"model": 3}, {"model": ""}, event("model_version", "created"),
             {"entity": "model_version", "action": "created", "data": None}],
)  # fmt: skip
def test_what_names_none_is_refused(said):
    with pytest.raises(InvalidArgument):
        model_of(said)
