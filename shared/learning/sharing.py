"""Let models on the same rows share what scikit-learn makes of these before it grows anything.

Ordering categories and binning take as long as some fifteen small trees, and scikit-learn does both for every model.
"""

from dataclasses import dataclass
from typing import Any

_COLUMNS = ("is_categorical_", "_preprocessor", "_is_categorical_remapped", "n_features_in_")


@dataclass
class Prepared:
    """The rows prepared last, known by a key, as scikit-learn's models take them."""

    key: Any = None
    columns: Any = None  # prepared rows and known categories
    attributes: Any = None  # of the model, that came with them
    mapper: Any = None
    binned: Any = None

    def lend(self, model: Any, key: Any) -> None:
        """Have a model that is about to be fitted take what is prepared under this key, else prepare it."""
        if self.key != key:
            self.key, self.columns, self.binned = key, None, None
        own_preprocess, own_bin = model._preprocess_X, model._bin_data

        def preprocess(rows: Any, *, reset: bool) -> Any:
            if not reset:
                return own_preprocess(rows, reset=False)
            if self.columns is None:
                self.columns = own_preprocess(rows, reset=True)
                self.attributes = {name: getattr(model, name) for name in _COLUMNS}
            for name, value in self.attributes.items():
                setattr(model, name, value)
            return self.columns

        def into_bins(rows: Any, weights: Any, is_training_data: bool) -> Any:
            if not is_training_data:
                return own_bin(rows, weights, is_training_data=False)
            if self.binned is None:
                self.binned, self.mapper = own_bin(rows, weights, is_training_data=True), model._bin_mapper
            model._bin_mapper = self.mapper
            return self.binned

        model._preprocess_X, model._bin_data = preprocess, into_bins
