"""What a store is, whichever it is, and what its failures mean."""

import importlib
import importlib.util
from collections.abc import Iterator
from typing import Protocol

from serve_app.errors import ConfigError
from serve_app.repository.addresses import Address
from serve_app.repository.manifests import Manifest, RemoteFile
from serve_app.repository.reasons import Changed

BLOCK = 8 * 2**20  # bytes that are asked for at a time


class Store(Protocol):
    """Folders and files below one address. Everything here blocks."""

    def top(self) -> tuple[list[str], bool]:
        """The names of the folders right below, and whether there are files beside them."""

    def manifest(self, folder: str) -> Manifest:
        """The files of one of them, or of the whole ('')."""

    def told(self, file: RemoteFile, folder: str) -> str:
        """Its checksum (`checksums`), '' where the store knows none."""

    def read(self, file: RemoteFile, folder: str, start: int) -> Iterator[bytes]:
        """Its bytes from `start` on. Changed where it isn't the file of the manifest any more, Restart
        where it can be had from its beginning only."""


def changed(file: RemoteFile) -> Changed:
    """`file` isn't what the listing said."""
    return Changed(f"{file.path} was changed while it was fetched")


# kind: (module, class), what has to be there for it, and the extra that brings it.
_STORES = {
    "s3": ("serve_app.repository.s3", "S3", "s3fs"),
    "gs": ("serve_app.repository.buckets", "GoogleStorage", "gcsfs"),
    "azure": ("serve_app.repository.buckets", "AzureStorage", "adlfs"),
    "hf": ("serve_app.repository.hub", "Hub", "huggingface_hub"),
    "web": ("serve_app.repository.web", "Web", ""),
}


def lacking(at: Address) -> str:
    """The extra of an address whose package isn't installed; '' where it is, or none is needed."""
    library = _STORES[at.kind][2]
    return at.kind if library and importlib.util.find_spec(library) is None else ""


def store(at: Address) -> Store:
    """Of an address; ConfigError names the extra that it needs."""
    module, name, library = _STORES[at.kind]
    if library:
        try:
            importlib.import_module(library)
        except ImportError as error:
            raise ConfigError(
                f"{library} can't be imported ({error}); install it with: "
                f"pip install 'tandem-serve[{at.kind}]'"
            ) from error
    made: Store = getattr(importlib.import_module(module), name)(at)
    return made
