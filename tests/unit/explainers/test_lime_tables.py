"""LIME of tables: what was planted is found, with the values that follow from it."""

import numpy as np
import pytest

from serve_app.errors import ConfigError, InvalidArgument
from serve_app.explainers.lime_tables import LimeTables
from tests.unit.explainers.asked import Model, asked, options

NAMES = ["age", "income", "debt", "noise"]
BACKGROUND = np.random.RandomState(0).normal(size=(400, 4))


@pytest.fixture
def folder(tmp_path):
    np.save(tmp_path / "background.npy", BACKGROUND)
    return tmp_path


def planted(inputs):
    """`debt` alone decides."""
    odds = 1 / (1 + np.exp(-4 * inputs["input-0"][:, 2]))
    return np.stack([1 - odds, odds], axis=1)


def test_the_planted_column_is_found(folder):
    model = Model(planted, labels=["no", "yes"], columns=NAMES)
    rows = np.array([[0.1, 0.2, 2.0, -0.3], [0.1, 0.2, -2.0, -0.3]])
    found = LimeTables(folder, True).explain({"input-0": rows}, asked(model), options())
    assert [label.decode() for label in found["label"]] == ["yes", "no"]
    assert found["class"].tolist() == [1, 0]
    assert np.allclose(found["prediction"], planted({"input-0": rows}).max(axis=1))
    assert np.abs(found["attributions"]).argmax(axis=1).tolist() == [2, 2]
    assert (found["attributions"][:, 2] > 0.1).all()  # for the class that is explained, both times
    assert [name.decode() for name in found["features"][0]] == NAMES
    assert found["conditions"][0, 2].startswith(b"debt > ")
    assert found["conditions"][1, 2].startswith(b"debt <= ")
    assert found["output"].tolist() == [b"scores"] * 2
    assert found["attributions"].shape == (2, 4)


def test_a_linear_model_s_weights(folder):
    """Without quarters LIME fits a line to a line: its slopes are the weights by the columns' spread."""
    weights = np.array([3.0, -2.0, 0.0, 0.5])
    model = Model(lambda inputs: inputs["x"] @ weights)
    found = LimeTables(folder, False).explain({"x": BACKGROUND[:1]}, asked(model), options(samples=3000))
    expected = weights * BACKGROUND.std(axis=0)
    assert np.allclose(found["attributions"][0], expected, rtol=0.02, atol=0.01)
    assert found["fidelity"][0] > 0.99
    assert "class" not in found
    assert "conditions" not in found


def test_the_same_seed_gives_the_same_bytes_in_any_company(folder):
    rows = BACKGROUND[:3]

    def run(rows, seed, batch=64):
        model = Model(planted, columns=NAMES)
        found = LimeTables(folder, True).explain(
            {"input-0": rows}, asked(model, batch), options(seed=seed)
        )
        return found["attributions"]

    first = run(rows, 5)
    assert first.tobytes() == run(rows, 5).tobytes()
    assert first[1:2].tobytes() == run(rows[1:2], 5).tobytes()
    assert first.tobytes() != run(rows, 6).tobytes()


def test_the_number_of_rows_that_are_asked_and_in_which_batches(folder):
    model = Model(planted, columns=NAMES)
    LimeTables(folder, True).explain({"input-0": BACKGROUND[:2]}, asked(model, 30), options(samples=100))
    assert max(model.batches) == 30
    assert sum(model.batches) == 2 + 2 * 100


def test_the_class_that_is_asked_for(folder):
    model = Model(planted, labels=["no", "yes"], columns=NAMES)
    rows, lime = {"input-0": np.array([[0.0, 0, 2, 0]])}, LimeTables(folder, True)
    for wanted in (0, "0", "no"):
        found = lime.explain(rows, asked(model), options(wanted=wanted))
        assert (found["class"].tolist(), found["label"].tolist()) == ([0], [b"no"])
        assert found["attributions"][0, 2] < -0.1
    for wanted, hint in ((2, "got 2"), ("yess", "did you mean yes"), (True, "got true"), (-1, "got -1")):
        with pytest.raises(InvalidArgument, match=rf"parameters.class: expected .* below 2.*{hint}"):
            lime.explain(rows, asked(model), options(wanted=wanted))


def test_columns_of_texts_and_others_order(tmp_path):
    """A frame: an array for each column; the file has them in another order."""
    lines = ["plan,age"] + [f"{'gold' if at % 3 == 0 else 'free'},{at % 50}" for at in range(150)]
    (tmp_path / "background.csv").write_text("\n".join(lines))
    seen = []

    def model(inputs):
        seen.append((inputs["plan"].dtype, set(inputs["plan"].tolist()), inputs["age"].dtype))
        return np.array([1.0 if plan == b"gold" else 0.0 for plan in inputs["plan"]])

    rows = {"age": np.array([30, 30]), "plan": np.array([b"gold", b"free"], dtype=object)}
    found = LimeTables(tmp_path, True).explain(rows, asked(Model(model)), options())
    assert [name.decode() for name in found["features"][0]] == ["age", "plan"]
    assert found["attributions"][0, 1] > 0.9
    assert found["attributions"][1, 1] < -0.9
    assert np.abs(found["attributions"][:, 0]).max() < 0.05
    assert found["conditions"][0, 1] == b"plan=gold"
    assert all(kinds == (object, kinds[1], np.dtype("int64")) for kinds in seen)
    assert {b"gold", b"free"} == set().union(*(kinds[1] for kinds in seen))
    wrong = {"age": np.array([3]), "plan": np.array([b"gld"], dtype=object)}
    with pytest.raises(InvalidArgument, match=r"column 'plan': \"gld\" isn't .* did you mean gold"):
        LimeTables(tmp_path, True).explain(wrong, asked(Model(model)), options())


def test_whole_numbers_of_a_table_are_perturbed_as_numbers(folder):
    kinds = set()

    def model(inputs):
        kinds.add(inputs["input-0"].dtype)
        return inputs["input-0"][:, 0]

    rows = {"input-0": np.array([[1, 2, 3, 4]])}
    LimeTables(folder, True).explain(rows, asked(Model(model, columns=NAMES)), options(samples=50))
    assert np.dtype("float64") in kinds


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("background.csv", "", "it is empty"),
        ("background.csv", "a,b\n1\n", "line 2 has 1 values for 2 columns"),
        ("background.csv", "a,b\n1,2\n", "at least 2 rows"),
        ("background.csv", "a,b\n1,2\nnan,3\n", "isn't finite"),
        ("background.npy", "no array", "background.npy"),
        ("other.csv", "a\n1\n2\n", "expected background.csv or background.npy"),
    ],
)
def test_a_background_that_is_none(tmp_path, name, text, message):
    (tmp_path / name).write_text(text)
    with pytest.raises(ConfigError, match=message):
        LimeTables(tmp_path, True)


def any_row(inputs):
    """What a model says that takes whatever comes."""
    return np.ones(len(next(iter(inputs.values()))))


def test_a_background_of_another_model(folder, tmp_path):
    with pytest.raises(ConfigError, match="has 4 columns, the model takes 3"):
        LimeTables(folder, True).explain({"x": np.zeros((1, 3))}, asked(Model(any_row)), options())
    (folder / "background.npy").unlink()
    (folder / "background.csv").write_text("age,income,dept,noise\n1,2,3,4\n5,6,7,8\n")
    with pytest.raises(ConfigError, match="no column 'debt' of the model; did you mean dept"):
        LimeTables(folder, True).explain(
            {"input-0": np.zeros((1, 4))}, asked(Model(planted, columns=NAMES)), options()
        )


def test_what_is_no_table(folder):
    with pytest.raises(InvalidArgument, match=r"rows of columns, got shape \[1, 2, 2\]"):
        LimeTables(folder, True).explain({"x": np.zeros((1, 2, 2))}, asked(Model(any_row)), options())


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("discretize", [True, False])
def test_numbers_that_are_missing_are_the_clients_to_fill_in(folder, value, discretize):
    rows = np.array([[0.1, 0.2, value, -0.3]])
    with pytest.raises(InvalidArgument, match="column 'debt': a number is missing"):
        LimeTables(folder, discretize).explain(
            {"input-0": rows}, asked(Model(planted, columns=NAMES)), options()
        )


def test_more_samples_of_a_wide_row_than_fit_into_memory(tmp_path):
    np.save(tmp_path / "background.npy", np.random.RandomState(0).normal(size=(2, 1000)))
    model = Model(lambda inputs: inputs["x"][:, :1])
    with pytest.raises(InvalidArgument, match=r"100000 perturbed rows of this size \(1000\)"):
        LimeTables(tmp_path, True).explain(
            {"x": np.ones((1, 1000))}, asked(model), options(samples=100_000)
        )


def test_rows_that_the_model_doesnt_take_are_the_clients_fault(folder):
    def refuses(inputs):
        raise InvalidArgument("expected shape [-1, 4]")

    with pytest.raises(InvalidArgument, match="expected shape"):  # and not that of the background
        LimeTables(folder, True).explain({"input-0": np.ones((1, 3))}, asked(Model(refuses)), options())
