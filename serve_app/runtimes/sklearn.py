"""scikit-learn's estimators: skops files (`model.skops`), which hold no code.

Pickles (`model.joblib`, `model.pkl`) run what is in them when they are loaded: only where the
configuration says `trusted`. `tandem convert` makes skops files of them.
"""

import contextlib
import logging
import warnings
from pathlib import Path
from typing import Any

import numpy as np

from serve_app.config import SklearnOptions
from serve_app.errors import ConfigError
from serve_app.protocol.tensors import Arrays
from serve_app.runtimes import sklearn_table
from serve_app.runtimes.base import need
from serve_app.runtimes.compute_threads import Limit
from serve_app.runtimes.loading import LOADING
from serve_app.runtimes.model_files import model_file
from serve_app.runtimes.not_a_model import what_it_is
from serve_app.runtimes.tabular import TabularRuntime

log = logging.getLogger("tandem")

METHODS = ("predict", "predict_proba", "predict_log_proba", "decision_function", "transform")


class SklearnRuntime(TabularRuntime):
    """One estimator, or a pipeline of them."""

    @property
    def _options(self) -> SklearnOptions:
        return SklearnOptions.model_validate(self._config.options)

    def load(self) -> None:
        """Read it, and run it once to see what it answers."""
        need("sklearn", "sklearn")
        path = model_file("sklearn", self._folder)
        with LOADING, warnings.catch_warnings(record=True) as said:
            warnings.simplefilter("always")
            estimator = self._read(path)
        for text in sorted({str(one.message).partition("\n")[0] for one in said}):
            log.warning("model %s: %s", self._config.name, text)  # mostly of versions
        self.adopt(estimator)

    def adopt(self, estimator: Any) -> None:
        """Serve it, wherever it comes from."""
        self.model, options = estimator, self._options
        classes: Any = getattr(estimator, "classes_", None)
        if getattr(classes, "ndim", 0) == 1 and len(classes) > 1:
            self._classes = [str(one) for one in classes]
        self._limit = Limit(options.threads)
        for key in estimator.get_params() if hasattr(estimator, "get_params") else ():
            if key == "n_jobs" or key.endswith("__n_jobs"):
                estimator.set_params(**{key: options.threads or -1})
        self._methods = {
            name: self._limit.applied(getattr(estimator, name))
            for name in METHODS
            if hasattr(estimator, name)
        }
        # What can only transform does so.
        can = "predict" if "predict" in self._methods else "transform"
        self.default = can if options.output == "predict" else options.output
        self._table = sklearn_table.table(estimator)
        if not self._table.frame:  # it gets its columns in their order, without their names
            warnings.filterwarnings("ignore", "X does not have valid feature names", UserWarning)
        self._describe({name: values[0] for name, values in sklearn_table.seen(estimator).items()})

    def trees(self) -> tuple[Any, str, list[str] | None, list[str]]:
        """Of a pipeline the last step, and the columns that come to it."""
        from serve_app.explainers.trees import SklearnTrees

        steps = [step for _, step in getattr(self.model, "steps", ())]
        found = SklearnTrees(steps[-1] if steps else self.model)
        self._before = self.model[:-1] if len(steps) > 1 else None
        self._apart = found.values
        names = self._column_names()
        if self._before is not None:
            names = []
            with contextlib.suppress(AttributeError, ValueError):  # a step that names nothing
                names = [str(one) for one in self._before.get_feature_names_out()]
        return self, found.of, self._classes, names

    def contributions(self, inputs: Arrays) -> np.ndarray:
        """As the library takes it apart."""
        rows = self._rows(inputs)
        if self._before is not None:
            rows = self._before.transform(rows)
        if hasattr(rows, "toarray"):  # sparse
            rows = rows.toarray()
        return self._apart(np.asarray(rows, np.float64))

    def _read(self, path: Path) -> Any:
        if path.suffix == ".skops":
            return read_skops(path, self._options.trusted_types)
        if not self._config.trusted:
            raise ConfigError(
                f"{path} is a pickle: loading it runs whatever code is in it, so it is not loaded. "
                f"`tandem convert {path.name}`, beside it, makes a file without code of it; or set "
                "`trusted: true` for this model, where you trust whoever can write that file"
            )
        joblib = need("joblib", "sklearn")
        try:
            return joblib.load(path)
        except Exception as error:  # whatever the code in it raises
            raise ConfigError(f"{path} can't be unpickled: {type(error).__name__}: {error}") from error


def read_skops(path: Path, trusted: list[str]) -> Any:
    """What is in a skops file; ConfigError names the types that it would need to trust."""
    need("skops", "sklearn")
    from skops.io import get_untrusted_types, load

    try:
        unknown = [name for name in get_untrusted_types(file=path) if name not in trusted]
        if not unknown:
            return load(path, trusted=trusted)
    except Exception as error:  # zip's, JSON's, its own
        what = what_it_is(path) or f"skops can't load it: {type(error).__name__}: {error}"
        raise ConfigError(f"{path}: {what}") from error
    raise ConfigError(
        f"{path} holds types that skops doesn't trust: {', '.join(unknown)}; loading it imports and "
        f"makes them. If you trust them in this file: options: {{trustedTypes: [{', '.join(unknown)}]}}"
    )
