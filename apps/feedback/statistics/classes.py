"""Class names as places in a list of classes."""

from collections.abc import Hashable, Sequence

import numpy as np
from numpy.typing import NDArray


def places_of(values: Sequence[Hashable], classes: Sequence[Hashable]) -> NDArray[np.int64]:
    """The place of each value among `classes`; raises ValueError for one that is not there."""
    place = {name: index for index, name in enumerate(classes)}
    strange = next((each for each in values if each not in place), None)
    if strange is not None:
        known = ", ".join(str(name) for name in classes)
        raise ValueError(f"{strange} is none of the classes {known}.")
    return np.array([place[each] for each in values], dtype=np.int64)
