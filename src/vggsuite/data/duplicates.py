"""Images that are there twice, by their content."""

import numpy as np


def groups_of_equals(digests: np.ndarray) -> list[np.ndarray]:
    """The indices of the images of each content that several have, in the order of the first of each.

    Args:
        digests: uint8 [N, 32]; zeros stand for none.
    """
    there = np.flatnonzero(digests.any(axis=1))
    keys = np.ascontiguousarray(digests[there]).view(np.uint64)
    order = np.lexsort(keys.T)  # stable, so that indices rise within a group
    differs = (keys[order][1:] != keys[order][:-1]).any(axis=1)
    starts = np.concatenate([[0], np.flatnonzero(differs) + 1])
    ends = np.append(starts[1:], len(order))
    groups = [there[order[start:end]] for start, end in zip(starts, ends, strict=True) if end - start > 1]
    return sorted(groups, key=lambda group: int(group[0]))
