"""Files that aren't what their names say: what they are, by their first bytes."""

from pathlib import Path

PICKLE = "it is a pickle, which is not loaded"
_KINDS = {
    b"version https://git-lfs": "it is a pointer of Git LFS and not the file itself: git lfs pull",
    b"\x1f\x8b": "it is compressed by gzip: unpack it",
    b"PK\x03\x04": "it is a ZIP archive",
    b"\x89HDF\r\n": "it is HDF5, as Keras writes it",
    b"<": "it is HTML or XML, as a download that failed leaves it",
    # Protocols 2 to 5: joblib.dump writes such files, and torch.save did.
    **{bytes((0x80, protocol)): PICKLE for protocol in range(2, 6)},
}


def what_it_is(path: Path) -> str:
    """'' where that isn't known. OSError where it can't be read."""
    with path.open("rb") as file:
        start = file.read(64)
    if not start:
        return "the file is empty"
    return next((kind for begin, kind in _KINDS.items() if start.startswith(begin)), "")
