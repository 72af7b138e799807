"""NumPy functions that can be applied to an array that is not there yet."""

from __future__ import annotations

import numpy as np


def words(text: str) -> list[str]:
    """Split a text into its words, names for example."""
    return text.split()


UFUNC_METHODS = frozenset(("__call__", "reduce", "accumulate", "outer"))
"""Ways of calling a ufunc whose result has a shape that the arguments' shapes decide."""

LAZY_FUNCTIONS = frozenset(
    getattr(np, name)
    for name in words(
        "all amax amin any append around argmax argmin argsort atleast_1d atleast_2d atleast_3d "
        "average broadcast_to clip column_stack concatenate convolve copy correlate cross cumprod "
        "cumsum diag diagflat diagonal diff dot dstack einsum expand_dims flip fliplr flipud "
        "gradient hstack imag inner interp kron matrix_transpose max mean median min moveaxis "
        "nan_to_num nanmax nanmean nanmin nansum outer pad permute_dims prod ptp ravel real "
        "repeat reshape roll rollaxis rot90 round sort squeeze stack std sum "
        "swapaxes take tensordot tile trace transpose trapezoid tril triu unwrap var vdot vecdot "
        "vstack where"
    )
    if hasattr(np, name)
) | {np.linalg.norm, np.linalg.vecdot, np.linalg.matrix_transpose}
"""Functions of which the shape of the result depends on the shapes of the arguments only, and
that cannot fail on account of a value."""

VALUE_FUNCTIONS = frozenset((np.pad, np.repeat, np.take, np.tile))
"""Lazy functions whose other arguments decide the shape, or the place, by their values."""

SHAPE_FUNCTIONS = frozenset(
    getattr(np, name)
    for name in words(
        "shape ndim size zeros_like ones_like empty_like result_type iscomplexobj isrealobj"
    )
)
"""Functions that ask for shape and type only."""
