"""Archives: what they hold lands below one folder, and nothing else anywhere."""

import gzip
import io
import os
import stat
import tarfile
import threading
import zipfile

import pytest

from serve_app.errors import ConfigError
from serve_app.repository import archives
from serve_app.repository.archives import unpack
from serve_app.repository.reasons import Full, GivenUp
from serve_app.repository.storage import hold


def tarred(path, *members, mode="w:gz"):
    """(name, data) are files; TarInfo as they are."""
    with tarfile.open(path, mode) as made:
        for one in members:
            if isinstance(one, tarfile.TarInfo):
                made.addfile(one)
            else:
                info = tarfile.TarInfo(one[0])
                info.size = len(one[1])
                made.addfile(info, io.BytesIO(one[1]))
    return path


def zipped(path, *members):
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as made:
        for name, data in members:
            made.writestr(name, data)
    return path


def special(name, kind, target=""):
    info = tarfile.TarInfo(name)
    info.type, info.linkname = kind, target
    return info


@pytest.fixture
def out(tmp_path):
    (tmp_path / "out").mkdir()
    return tmp_path / "out"


def unpacked(archive, out, reserve=lambda size: None, stop=None):
    return unpack(archive, out, reserve, stop or threading.Event())


FILES = [("1/model.onnx", b"one"), ("2/model.onnx", b"two" * 10)]


@pytest.mark.parametrize("name", ["m.tar.gz", "m.tgz", "m.tar", "m.zip"])
def test_its_files(tmp_path, out, name):
    if name.endswith(".zip"):
        archive = zipped(tmp_path / name, *FILES)
    else:
        archive = tarred(tmp_path / name, *FILES, mode="w" if name == "m.tar" else "w:gz")
    sizes = []
    sums = unpacked(archive, out, sizes.append)
    assert {path: (out / path).read_bytes() for path in sums} == dict(FILES)
    assert sizes == [33]


def test_as_tar_writes_a_folder(tmp_path, out):
    folder = special("./1", tarfile.DIRTYPE)
    archive = tarred(tmp_path / "m.tar.gz", special(".", tarfile.DIRTYPE), folder, ("./1/x", b"x"))
    assert list(unpacked(archive, out)) == ["1/x"]


OUT = "leads out of its folder"


@pytest.mark.parametrize(
    ("member", "said"),
    [
        (("../evil", b"x"), OUT),
        (("a/../../evil", b"x"), OUT),
        (("/etc/evil", b"x"), OUT),
        (special("link", tarfile.SYMTYPE, "/etc/passwd"), OUT),
        (special("link", tarfile.SYMTYPE, "../../etc/passwd"), OUT),
        (special("link", tarfile.LNKTYPE, "../other"), OUT),
        (special("link", tarfile.LNKTYPE, "/etc/passwd"), OUT),
        (special("../dir", tarfile.DIRTYPE), OUT),
        (special("link", tarfile.SYMTYPE, "nowhere"), "link to 'nowhere', which is no file in it"),
        (special("null", tarfile.CHRTYPE), "neither file nor folder"),
        (special("pipe", tarfile.FIFOTYPE), "neither file nor folder"),
        (("good", b"again"), "holds 'good' twice"),
        (("good/below", b"x"), "'good' in the archive is a file and a folder at once"),
    ],
)
def test_what_doesnt_belong_into_one(tmp_path, out, member, said):
    archive = tarred(tmp_path / "m.tar.gz", ("good", b"x"), member)
    with pytest.raises(ConfigError, match=said):
        unpacked(archive, out)
    if "link to" not in said:
        assert not list(out.iterdir())  # all of it was looked at before any was written
    assert sorted(os.listdir(tmp_path)) == ["m.tar.gz", "out"]


def test_a_way_out_through_a_link_that_comes_first(tmp_path, out):
    link = special("a", tarfile.SYMTYPE, ".")
    archive = tarred(tmp_path / "m.tar", link, ("a/../../evil", b"x"), mode="w")
    with pytest.raises(ConfigError, match=OUT):
        unpacked(archive, out)
    archive = tarred(tmp_path / "m.tar", special("a", tarfile.SYMTYPE, "b"), ("a/evil", b"x"), mode="w")
    with pytest.raises(ConfigError, match="'a' in the archive is a file and a folder at once"):
        unpacked(archive, out)


def test_links_within_are_files(tmp_path, out):
    archive = tarred(
        tmp_path / "m.tar.gz",
        special("1/same", tarfile.SYMTYPE, "../blobs/x"),
        ("blobs/x", b"data"),
        special("1/hard", tarfile.LNKTYPE, "blobs/x"),
    )
    sums = unpacked(archive, out)
    assert {(out / path).read_bytes() for path in sums} == {b"data"}
    assert not (out / "1" / "same").is_symlink()
    assert len(set(sums.values())) == 1


@pytest.mark.parametrize("name", ["../evil", "/evil", "a/../../evil"])
def test_names_in_zips(tmp_path, out, name):
    with pytest.raises(ConfigError, match=OUT):
        unpacked(zipped(tmp_path / "m.zip", (name, b"x")), out)


def test_a_link_in_a_zip(tmp_path, out):
    info = zipfile.ZipInfo("link")
    info.external_attr = (stat.S_IFLNK | 0o777) << 16
    with pytest.raises(ConfigError, match="'link' in the archive is neither file nor folder"):
        unpacked(zipped(tmp_path / "m.zip", (info, "/etc/passwd")), out)


@pytest.mark.parametrize("name", ["bomb.tar.gz", "bomb.zip"])
def test_bombs(tmp_path, out, monkeypatch, name):
    monkeypatch.setattr(archives, "_ALWAYS", 2**20)
    data = ("zeros", bytes(2**22))
    archive = (zipped if name.endswith(".zip") else tarred)(tmp_path / name, data)
    with pytest.raises(ConfigError, match="grows to more than 100 times its size"):
        unpacked(archive, out)
    assert not list(out.iterdir())


def test_too_many_files(tmp_path, out, monkeypatch):
    monkeypatch.setattr(archives, "MOST_FILES", 10)
    archive = tarred(tmp_path / "m.tar", *((str(n), b"") for n in range(11)), mode="w")
    with pytest.raises(ConfigError, match="more than 10 files"):
        unpacked(archive, out)


def test_no_room(tmp_path, out):
    def full(size):
        raise Full(str(size))

    with pytest.raises(Full, match="33"):
        unpacked(tarred(tmp_path / "m.tar.gz", *FILES), out, full)
    assert not list(out.iterdir())


@pytest.mark.parametrize("name", ["m.tar.gz", "m.tar", "m.zip"])
def test_what_is_no_archive(tmp_path, out, name):
    for data in (b"<html>not found</html>", b"", gzip.compress(b"no tar in it" * 100)):
        (tmp_path / name).write_bytes(data)
        with pytest.raises(ConfigError, match="the archive can't be read"):
            unpacked(tmp_path / name, out)


def test_a_cut_archive(tmp_path, out):
    archive = tarred(tmp_path / "m.tar.gz", ("model", os.urandom(100_000)))
    os.truncate(archive, 50_000)
    with pytest.raises(ConfigError, match="the archive can't be read"):
        unpacked(archive, out)


def test_it_can_be_given_up(tmp_path, out):
    stop = threading.Event()
    stop.set()
    with pytest.raises(GivenUp):
        unpacked(tarred(tmp_path / "m.tar.gz", *FILES), out, stop=stop)


@pytest.mark.parametrize("root", ["", "digits/"])
def test_as_a_model(memory, tmp_path, root):
    """`tar czf digits.tar.gz digits`, and the same from within."""
    files = [(f"{root}1/model", b"one"), (f"{root}2/model", b"two")]
    store = memory({"m.tar.gz": tarred(tmp_path / "m.tar.gz", *files).read_bytes()})
    found = hold("s3://bucket/m", "latest")
    assert {v: (f / "model").read_bytes() for v, f in found.folders.items()} == {"2": b"two"}
    assert hold("s3://bucket/m", ["1"]).folders["1"].name == "1"
    assert len(store.asked) == 1
    assert found.checksums["2"]


def test_of_one_version(memory, tmp_path):
    packed = tarred(tmp_path / "a", ("export/model", b"x")).read_bytes()
    memory({"1/model.tar.gz": packed, "2/model": b"y"})
    folders = hold("s3://bucket/m", "all").folders
    assert (folders["1"] / "model").read_bytes() == b"x"
    assert (folders["2"] / "model").read_bytes() == b"y"


def test_a_poisoned_one_leaves_nothing(memory, tmp_path, cache):
    memory({"m.tar.gz": tarred(tmp_path / "m.tar.gz", ("../evil", b"x")).read_bytes()})
    with pytest.raises(
        ConfigError, match="storageUri 's3://bucket/m': the archive leads out of its folder"
    ):
        hold("s3://bucket/m", "all")
    files = [file for kind in ("entries", "partial") for file in cache.glob(f"v1-*/{kind}/**/*")]
    assert not [file for file in files if file.is_file()]
