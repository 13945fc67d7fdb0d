"""Demo models are made once, beside what others have made there."""

from pathlib import Path

import pytest

from serve_app.demo.once import once


class Maker:
    """Makes a folder `digits` that holds how often it was asked."""

    def __init__(self, folder: Path) -> None:
        self.source, self.times = folder / "source.py", 0
        self.source.write_text("1")

    def __call__(self, folder: Path) -> None:
        self.times += 1
        (folder / "digits").mkdir()
        (folder / "digits" / "weights").write_text(str(self.times))

    def run(self, target: Path) -> bool:
        return once(target, str(self.source), self)


@pytest.fixture
def maker(tmp_path: Path) -> Maker:
    return Maker(tmp_path)


def weights(target: Path) -> str:
    return (target / "digits" / "weights").read_text()


def test_once_and_again_when_the_program_has_changed(maker: Maker, tmp_path: Path) -> None:
    target = tmp_path / "some" / "models"
    assert maker.run(target)
    assert not maker.run(target)
    maker.source.write_text("2")
    assert maker.run(target)
    assert weights(target) == "2"
    assert {path.name for path in target.iterdir()} == {"digits", ".built"}


def test_what_others_made_stays(maker: Maker, tmp_path: Path) -> None:
    other = tmp_path / "models" / "llm" / "1"
    other.mkdir(parents=True)
    (other / "weights").write_text("two minutes of training")
    assert maker.run(tmp_path / "models")
    maker.source.write_text("2")
    assert maker.run(tmp_path / "models")
    assert (other / "weights").read_text() == "two minutes of training"


def test_an_interrupted_build_is_done_again(maker: Maker, tmp_path: Path) -> None:
    def broken(folder: Path) -> None:
        maker(folder)
        raise KeyboardInterrupt

    target = tmp_path / "models"
    with pytest.raises(KeyboardInterrupt):
        once(target, str(maker.source), broken)
    assert list(target.iterdir()) == []
    assert maker.run(target)
    assert weights(target) == "2"
