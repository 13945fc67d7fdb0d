"""LIME of pictures: what happens to the answer where regions of one have another colour.

A picture is an array, channels first or last, or a file's bytes (PNG, JPEG); the model is asked with PNG
then.
"""

import io
from collections.abc import Callable

import numpy as np

from serve_app.errors import InvalidArgument
from serve_app.explainers.answers import Row, Targets, answered
from serve_app.explainers.asking import Asked
from serve_app.explainers.base import Options, affordable, library, selection
from serve_app.explainers.labels import labels_of
from serve_app.protocol.datatypes import BYTES
from serve_app.protocol.tensors import Arrays

Ask = Callable[[np.ndarray], np.ndarray]

# A picture is 24 bytes for each pixel here, several times; a small file may unpack to any number.
_MOST_PIXELS = 2**24  # of a request
_BATCH_BYTES = 2**28
_FORMATS = ("PNG", "JPEG")  # PIL knows others, some of which start programs


class LimeImages:
    """Of models that take one tensor of pictures, each cut into about so many `regions`.

    They are scikit-image's `slic`: LIME's own choice, `quickshift`, finds one region in small pictures.
    `hide` is the colour of those that are hidden, None for the mean of the whole picture: the mean of
    each, which is LIME's, hides nothing where a region has one colour.
    """

    def __init__(self, batch: int, regions: int, hide: float | None) -> None:
        self._lime, self._slic = library("lime.lime_image"), library("skimage.segmentation").slic
        self._batch, self._regions, self._hide = batch, regions, hide
        self._lime.tqdm = lambda rows, *_, **__: rows  # its progress is nobody's to watch here

    def explain(self, inputs: Arrays, asked: Asked, options: Options) -> Arrays:
        """A weight for each pixel: that of its region."""
        affordable(options.samples, self._regions)
        about = asked.describe()
        name, array = _one(inputs)
        pictures, back = opened(name, array)
        scores = asked(inputs)
        labels = labels_of(about, asked.output)
        targets = Targets(asked.output or "the first output", scores, labels, options.wanted)

        def asks(column: int) -> Ask:
            return lambda some: asked({name: back(some)})[:, [column]]

        rows = [
            self._row(picture, asks(int(column)), options)
            for picture, column in zip(pictures, targets.columns, strict=True)
        ]
        if len({row.attributions.shape for row in rows}) > 1:
            raise InvalidArgument(f"tensor '{name}': pictures of one size in one request")
        return answered(rows, targets)

    def _row(self, picture: np.ndarray, ask: Ask, options: Options) -> Row:
        explainer = self._lime.LimeImageExplainer(
            feature_selection=selection(self._regions),
            random_state=np.random.RandomState(options.seed),
        )
        found = explainer.explain_instance(
            picture,
            lambda some: ask(np.asarray(some)),
            labels=(0,),
            top_labels=None,
            hide_color=picture.mean(axis=(0, 1)) if self._hide is None else self._hide,
            num_features=options.features or 100_000,
            num_samples=options.samples,
            batch_size=max(1, min(self._batch, _BATCH_BYTES // picture.nbytes)),
            segmentation_fn=self._cut,
            random_seed=options.seed,
        )
        weights = np.zeros(found.segments.shape)
        for region, weight in found.local_exp[0]:
            weights[found.segments == region] = weight
        return Row(weights, float(found.intercept[0]), fidelity=float(found.score))

    def _cut(self, picture: np.ndarray) -> np.ndarray:
        low, high = picture.min(), picture.max()
        even = (picture - low) / (high - low) if high > low else np.zeros_like(picture)
        found: np.ndarray = self._slic(even, n_segments=self._regions, start_label=0)
        return found


def _one(inputs: Arrays) -> tuple[str, np.ndarray]:
    if len(inputs) != 1:
        names = ", ".join(inputs)
        raise InvalidArgument(f"inputs: kind image explains models of one tensor, got {names}")
    return next(iter(inputs.items()))


Back = Callable[[np.ndarray], np.ndarray]  # pictures as the model takes them


def opened(name: str, array: np.ndarray) -> tuple[list[np.ndarray], Back]:
    """The pictures as [height, width, 3], and how such are written for the model."""
    if array.dtype == BYTES:
        left, pictures = _MOST_PIXELS, list[np.ndarray]()
        for item in array.reshape(-1):
            pictures.append(_read(name, item, left))
            left -= pictures[-1].size // 3
        return pictures, lambda some: _files(some, array)
    if array.size == 0:
        raise InvalidArgument(f"tensor '{name}': pictures without pixels, of shape {list(array.shape)}")
    if array.size > _MOST_PIXELS * (
        3 if array.ndim == 4 and 3 in (array.shape[1], array.shape[-1]) else 1
    ):
        raise _too_large(name)
    if array.dtype.kind == "f" and not np.isfinite(array).all():
        raise InvalidArgument(f"tensor '{name}': a number isn't finite")
    if array.ndim == 3:  # grey, without a dimension for that
        return [_colour(one[..., None]) for one in array], lambda some: some[..., 0].astype(array.dtype)
    if array.ndim == 4 and array.shape[1] in (1, 3):
        count = array.shape[1]
        return (
            [_colour(np.moveaxis(one, 0, -1)) for one in array],
            lambda some: np.moveaxis(some[..., :count], -1, 1).astype(array.dtype),
        )
    if array.ndim == 4 and array.shape[-1] in (1, 3):
        count = array.shape[-1]
        return [_colour(one) for one in array], lambda some: some[..., :count].astype(array.dtype)
    raise InvalidArgument(
        f"tensor '{name}': kind image explains pictures, [rows, 1 or 3, height, width] or "
        f"[rows, height, width, 1 or 3] or files, got shape {list(array.shape)}"
    )


def _colour(picture: np.ndarray) -> np.ndarray:
    return np.repeat(picture, 3 // picture.shape[-1], axis=-1).astype(np.float64)


def _too_large(name: str) -> InvalidArgument:
    return InvalidArgument(
        f"tensor '{name}': more than {_MOST_PIXELS} pixels in one request: send fewer, or smaller ones"
    )


def _read(name: str, data: bytes, most: int) -> np.ndarray:
    image = library("PIL.Image")
    try:
        with image.open(io.BytesIO(data), formats=_FORMATS) as file:
            if file.width * file.height > most:  # before any of it is unpacked
                raise _too_large(name)
            return np.asarray(file.convert("RGB"), np.float64)
    except InvalidArgument:
        raise
    except Exception as error:  # PIL's, of many kinds
        raise InvalidArgument(f"tensor '{name}': no picture that can be read: {error}") from None


def _files(some: np.ndarray, array: np.ndarray) -> np.ndarray:
    image = library("PIL.Image")
    found = np.empty(len(some), dtype=object)
    for at, picture in enumerate(some):
        out = io.BytesIO()
        image.fromarray(np.clip(np.rint(picture), 0, 255).astype(np.uint8)).save(out, "PNG")
        found[at] = out.getvalue()
    return found.reshape(len(some), *array.shape[1:])
