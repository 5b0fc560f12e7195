"""Histograms with fixed bins, kept as `{bin: count}`: they add up over any rows and any time.

Sizes (times in microseconds, amounts) have eight bins an octave: bin k holds the values from
2^((k-1)/8), without it, to 2^(k/8). A quantile is read as the geometric middle of its bin, so it
lies within 2^(1/16) - 1 = 4.5 % of the value at that rank (Dunning & Ertl 2019, section 1;
Masson, Rim & Lee 2019, DDSketch). Pure functions.
"""

import math
from collections.abc import Iterable, Mapping

import numpy as np
from numpy.typing import NDArray

RELATIVE_ERROR = 2 ** (1 / 16) - 1
SCORE_BINS = 20
_AN_OCTAVE = 8
_SMALLEST, _LARGEST = 2.0**-64, 2.0**64
_SHIFT = 1024

Counts = dict[str, int]


def size_bins(values: NDArray[np.float64]) -> NDArray[np.int64]:
    """The bins of sizes; what is below 1 counts as 1."""
    return np.ceil(_AN_OCTAVE * np.log2(np.maximum(values, 1.0)) - 1e-9).astype(np.int64)


def size_of(number: int) -> float:
    """The value that stands for a bin of sizes."""
    return float(2.0 ** ((number - 0.5) / _AN_OCTAVE))


def amount_bins(values: NDArray[np.float64]) -> NDArray[np.int64]:
    """The bins of numbers of any sign: 0 for zero, else the bin of the size, moved away from
    zero by 1024, with the number's sign. Sizes are taken within 2^-64 and 2^64."""
    sizes = np.clip(np.abs(values), _SMALLEST, _LARGEST)
    numbers = np.ceil(_AN_OCTAVE * np.log2(sizes) - 1e-9).astype(np.int64) + _SHIFT
    return np.where(values == 0, 0, np.sign(values).astype(np.int64) * numbers)


def amount_of(number: int) -> float:
    """The value that stands for a bin of numbers."""
    return math.copysign(size_of(abs(number) - _SHIFT), number) if number else 0.0


def score_bins(values: NDArray[np.float64]) -> NDArray[np.int64]:
    """The bins of probabilities: 20 of equal width from 0 to 1."""
    return np.clip((values * SCORE_BINS).astype(np.int64), 0, SCORE_BINS - 1)


def edge_bins(values: NDArray[np.float64], edges: NDArray[np.float64]) -> NDArray[np.int64]:
    """The bins between edges, the last one closed as in `numpy.histogram`: -1 below the first
    edge, the number of bins above the last."""
    found = np.searchsorted(edges, values, side="right") - 1
    found[values == edges[-1]] = len(edges) - 2
    return found.astype(np.int64)


def count(numbers: NDArray[np.int64]) -> Counts:
    """How often each bin stands there."""
    found, counts = np.unique(numbers, return_counts=True)
    return {str(number): int(n) for number, n in zip(found, counts, strict=True)}


def add(into: Counts, other: Mapping[str, int]) -> None:
    """Adds the counts of `other` to `into`."""
    for name, number in other.items():
        into[name] = into.get(name, 0) + number


def total(all_counts: Iterable[Mapping[str, int]]) -> Counts:
    """The sum of several histograms."""
    summed: Counts = {}
    for counts in all_counts:
        add(summed, counts)
    return summed


def quantile(counts: Mapping[str, int], share: float) -> float | None:
    """The size below or at which `share` of the counted ones lie; None where nothing was counted.

    Within RELATIVE_ERROR of `numpy.quantile(..., method="inverted_cdf")`.
    """
    rank = max(math.ceil(share * sum(counts.values())), 1)
    for number, n in sorted((int(name), n) for name, n in counts.items()):
        rank -= n
        if rank <= 0:
            return size_of(number)
    return None
