"""Linear models of scikit-learn, asked block by block for the matrix product alone: all else is done once for all rows.

Asked for probabilities, such a model spends most of its time on looking at what it was given. The product needs blocks
of one length, what follows it works on each row alone.
"""

from copy import copy
from typing import Any

import numpy as np
import numpy.typing as npt
import scipy.sparse

from spark_scoring.models.rows import LINEAR, Inputs, blocks_of, is_any_of


def is_linear(model: Any, inputs: Inputs) -> bool:
    """Whether the model's decisions are a product that can be made here, of these inputs."""
    dense = is_any_of(model, LINEAR) and isinstance(model.coef_, np.ndarray)
    return dense and (isinstance(inputs, np.ndarray) or (scipy.sparse.issparse(inputs) and inputs.format == "csr"))


def decisions(model: Any, inputs: Inputs) -> npt.NDArray[np.float64]:
    """What the model's `decision_function` says of each row, or its `predict` if it is a regression.

    Raises: ValueError: an input is no finite number; the model would say so too.
    """
    from sklearn.utils import assert_all_finite

    assert_all_finite(inputs)
    found = np.concatenate([block @ model.coef_.T + model.intercept_ for block in blocks_of(inputs)])
    return found[: inputs.shape[0], 0] if found.ndim == 2 and found.shape[1] == 1 else found[: inputs.shape[0]]


def decided(model: Any) -> Any:
    """The model, but for that it takes its decisions where it took its inputs."""
    own = copy(model)
    own.decision_function = own._decision_function = _themselves
    return own


def _themselves(found: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    return found
