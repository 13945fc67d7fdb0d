import httpx
import pytest

from serve_app.config import Limits
from serve_app.errors import Overloaded, raised
from serve_app.ingress.rest import RestApp
from tests.unit.ingress.administered import TOKEN, Changes
from tests.unit.ingress.connections import Client
from tests.unit.planes import UNDECLARED, Echo, Raises, plane, served


@pytest.fixture
def the_plane():
    made = plane()
    served(made)
    served(made, "echo", backend=Echo(), about=UNDECLARED, versions=("1",))
    served(made, "bad", backend=Raises(raised("model 'bad' raised", ValueError("no"))))
    served(made, "full", backend=Raises(Overloaded("the replicas are full")))
    served(made, "buggy", backend=Raises(RuntimeError("a secret")))
    made.directory.expect("new", "")
    return made


@pytest.fixture
def changes(monkeypatch):
    """What would go to the Steward, behind a token and a webhook's secret."""
    monkeypatch.setenv("TANDEM_ADMIN_TOKEN", TOKEN)
    monkeypatch.setenv("TANDEM_WEBHOOK_SECRET", "a-secret-of-some-length")
    return Changes()


@pytest.fixture
async def http(the_plane):
    limits = Limits(maxBodyBytes=5000, minCompressBytes=500)
    transport = httpx.ASGITransport(RestApp(the_plane, lambda: limits))
    async with httpx.AsyncClient(
        transport=transport, base_url="http://t", headers={"accept-encoding": ""}
    ) as client:
        yield client


@pytest.fixture
async def client(server):
    """A raw connection to the module's own `server`."""
    connected = Client(server.address)
    yield connected
    connected.close()


@pytest.fixture
def write_module(tmp_path, monkeypatch):
    """Writes a user's module: its name, new for each test. `more` is another module's."""

    def write(text, more=""):
        name = f"mine{more}_{tmp_path.name.replace('-', '_')}"
        (tmp_path / f"{name}.py").write_text(text)
        monkeypatch.syspath_prepend(tmp_path)
        return name

    return write
