"""PyTorch's installation where only some indexes answer, with indexes of small wheels on this disk."""

import hashlib
import os
import shutil
import subprocess
import sys
import sysconfig
import zipfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.server import ROOT

SCRIPT = ROOT / "configs/locks/pytorch.py"
VERSION = "9.9.0"
CPU = {"torch.py": "BUILD = 'cpu'"}
CUDA = {"torch.py": "import fake_cuda\nBUILD = 'cuda'"}
NEEDS = ('cuda-fake==1.0; platform_system == "Linux"',)

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="PyPI's wheels need CUDA on Linux alone")


def wheel(
    folder: Path, name: str, version: str, files: dict[str, str], needs: tuple[str, ...] = ()
) -> str:
    """A wheel in a folder; its SHA-256."""
    folder.mkdir(parents=True, exist_ok=True)
    stem = f"{name.replace('-', '_')}-{version}"
    about = "\n".join(
        [
            "Metadata-Version: 2.1",
            f"Name: {name}",
            f"Version: {version}",
            *(f"Requires-Dist: {n}" for n in needs),
            "",
        ]
    )
    kind = "Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: py3-none-any\n"
    files = files | {f"{stem}.dist-info/METADATA": about, f"{stem}.dist-info/WHEEL": kind}
    record = "".join(f"{path},,\n" for path in [*files, f"{stem}.dist-info/RECORD"])
    file = folder / f"{stem}-py3-none-any.whl"
    with zipfile.ZipFile(file, "w") as archive:
        for path, text in (files | {f"{stem}.dist-info/RECORD": record}).items():
            archive.writestr(path, text)
    return hashlib.sha256(file.read_bytes()).hexdigest()


def index(folder: Path) -> str:
    """Its wheels of torch as an index."""
    page = folder / "torch"
    page.mkdir(parents=True)
    links = [f'<a href="{one.as_uri()}">{one.name}</a>' for one in folder.glob("torch-*.whl")]
    (page / "index.html").write_text("<!doctype html><html><body>" + "".join(links) + "</body></html>")
    return folder.as_uri()


class Machine:
    """An environment, what pip finds of itself, and the script with a lock for that."""

    def __init__(self, folder: Path, python: Path) -> None:
        self.folder, self.python = folder, python
        self.usual = folder / "usual"
        self.usual.mkdir()
        self.script = folder / "pytorch.py"
        text = SCRIPT.read_text()
        own = 'OWN = "https://download.pytorch.org/whl/cpu"'
        assert own in text
        self.script.write_text(text.replace(own, f'OWN = "{(folder / "nowhere").as_uri()}"'))

    def has_cuda(self, libraries: bool = True) -> None:
        """As PyPI does."""
        torch = wheel(self.usual, "torch", VERSION, CUDA, NEEDS)
        fake = wheel(
            self.usual if libraries else self.folder / "away", "cuda-fake", "1.0", {"fake_cuda.py": ""}
        )
        lines = [
            f"cuda-fake==1.0 \\\n    --hash=sha256:{fake}",
            f"torch=={VERSION} \\\n    --hash=sha256:{torch}",
        ]
        (self.folder / "gpu.txt").write_text("\n".join(lines) + "\n")

    def install(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        return self.run(str(self.script), VERSION, *arguments)

    def run(self, *command: str) -> subprocess.CompletedProcess[str]:
        """By its Python, with this folder's indexes alone."""
        environment = {name: value for name, value in os.environ.items() if not name.startswith("PIP_")}
        environment |= {
            "PIP_CONFIG_FILE": os.devnull, "PIP_INDEX_URL": (self.folder / "nowhere").as_uri(),
            "PIP_FIND_LINKS": str(self.usual),
        }  # fmt: skip
        command = (str(self.python), *command)
        return subprocess.run(command, capture_output=True, text=True, env=environment, check=False)

    @property
    def build(self) -> str:
        """Of what can be imported; '' where there is nothing, or it can't be."""
        return self.run("-c", "import torch; print(torch.BUILD)").stdout.strip()


@pytest.fixture(scope="module")
def python(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """With the tests' own pip: to install another would take longer than all else here."""
    folder = tmp_path_factory.mktemp("environment")
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", str(folder)], check=True)
    (packages,) = folder.glob("lib/python*/site-packages")
    (packages / "pip").symlink_to(Path(sysconfig.get_path("purelib")) / "pip")
    return folder / "bin/python"


@pytest.fixture
def machine(tmp_path: Path, python: Path) -> Iterator[Machine]:
    made = Machine(tmp_path, python)
    yield made
    (packages,) = python.parent.parent.glob("lib/python*/site-packages")
    for one in packages.glob("*torch*"), packages.glob("*cuda*"):
        for path in one:
            shutil.rmtree(path) if path.is_dir() else path.unlink()


def test_where_only_pypi_answers_cuda_comes_with_its_libraries(machine: Machine) -> None:
    machine.has_cuda()
    done = machine.install()
    assert done.returncode == 0, done.stderr
    assert machine.build == "cuda"
    assert "GB to download" in done.stdout
    assert "make TORCH_INDEX=" in done.stdout


def test_a_cpu_build_goes_first_and_replaces_what_cannot_be_imported(machine: Machine) -> None:
    """An environment that was set up before, with PyPI's wheel alone."""
    machine.has_cuda(libraries=False)
    machine.run("-m", "pip", "install", "--no-deps", f"torch=={VERSION}")
    assert "No module named 'fake_cuda'" in machine.run("-c", "import torch").stderr
    assert machine.build == ""
    wheel(machine.usual, "torch", f"{VERSION}+cpu", CPU)
    done = machine.install()
    assert (done.returncode, machine.build) == (0, "cpu"), done.stderr
    assert done.stdout == f"installing PyTorch {VERSION}+cpu, for CPUs\n"


def test_an_index_that_is_named_is_asked(machine: Machine) -> None:
    machine.has_cuda()
    wheel(machine.folder / "mirror", "torch", f"{VERSION}+cpu", CPU)
    done = machine.install(index(machine.folder / "mirror"))
    assert (done.returncode, machine.build) == (0, "cpu"), done.stderr


def test_nothing_that_cannot_be_imported_is_installed(machine: Machine) -> None:
    machine.has_cuda(libraries=False)
    done = machine.install()
    assert done.returncode == 1
    assert f"no CPU build of torch=={VERSION} was found, and CUDA's libraries neither" in done.stderr
    assert "make TORCH_INDEX=" in done.stderr
    assert "No module named 'torch'" in machine.run("-c", "import torch").stderr


def test_an_index_without_it_is_named(machine: Machine) -> None:
    (machine.folder / "empty").mkdir()
    done = machine.install((machine.folder / "empty").as_uri())
    assert done.returncode == 1
    assert f"there is no torch=={VERSION} at file://" in done.stderr
    assert "Traceback" not in done.stderr


def test_the_lock_is_of_the_same_version(machine: Machine) -> None:
    machine.has_cuda()
    (machine.folder / "gpu.txt").write_text("torch==1.0.0 \\\n    --hash=sha256:0\n")
    assert "gpu.txt has another version than torch==9.9.0: run make lock" in machine.install().stderr
    assert machine.build == ""


def test_every_environment_is_tried_before_it_counts_as_ready() -> None:
    """By the Makefile: what pip installed by a lock is imported before the stamp is set."""
    rules = (ROOT / "Makefile").read_text().split("\n\n")
    tried = 0
    for rule in rules:
        if "touch $@" in rule and "-r $(LOCKS)/" in rule and "dev.txt" not in rule:
            assert (
                rule.index("-r $(LOCKS)/") < rule.index("call can-import,") < rule.index("touch $@")
            ), rule
            tried += 1
    assert tried == 9
    assert not any("torch==" in rule for rule in rules)
