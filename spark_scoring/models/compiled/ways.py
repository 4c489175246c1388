"""Which of two ways finds the leaves of trees in less time: a walk down each, or all of them at once."""

from enum import IntEnum

import numpy as np

from spark_scoring.models.compiled.operations import Ints

# a walk goes down so many trees at a time
WAYS = 8
# what `TreeMasks.java` makes of nodes: of each at most one row of its table, and their numbers for each rank
ROWS, TABLE_BYTES = 1 << 16, 16 << 20
# the bits that it looks at together, and about how many nanoseconds it takes for those and a place, and for a tree
TOGETHER, CELL_COST, TREE_COST = 1024, 2.5, 1.0
# and a node that is walked
WALKED_COST = 1.5


class Bits(IntEnum):
    """How many bits a tree has where all of its leaves are found at once (`TreeMasks.java`); NONE: it is walked."""

    NONE = 0
    HALF = 32
    WHOLE = 64


def bits_of(depth: Ints, leaves: Ints, places: Ints) -> Bits:
    """The way that takes a row less time, by the depth and leaves of each tree and the place of each inner node."""
    bits = Bits.HALF if leaves.max() <= Bits.HALF else Bits.WHOLE
    used, cells = len(np.unique(places)), -(-len(leaves) * bits // TOGETHER)
    if leaves.max() > Bits.WHOLE or len(places) >= ROWS or (len(places) + used) * cells * 4 > TABLE_BYTES:
        return Bits.NONE
    deepest = np.sort(depth)[np.minimum(np.arange(len(depth)) | WAYS - 1, len(depth) - 1)]
    at_once = CELL_COST * used * cells + TREE_COST * len(leaves)
    return bits if at_once < WALKED_COST * deepest.sum() else Bits.NONE
