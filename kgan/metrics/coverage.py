"""How many classes the samples use: the plainest sign of mode collapse."""

import numpy as np

from kgan.errors import InputError
from kgan.metrics import checks


def class_coverage(labels: np.ndarray, classes: int) -> tuple[int, np.ndarray]:
    """How many of the classes occur among the labels, and how often each.

    The labels are a classifier's: `logits.argmax(axis=1)`. The counts go into `kl_divergence` as they are.

    Args:
        labels: whole numbers `[n]` from 0 to classes - 1.
        classes: how many classes there are, at least 1.

    Returns:
        The number of classes with a label, and the counts, int64 `[classes]`.

    Raises:
        InputError: labels that are no whole numbers (such as logits), or outside of the classes.
    """
    checks.whole("classes", classes, 1)
    labels = np.asarray(labels)
    if labels.dtype.kind not in "iu" or labels.ndim != 1 or not labels.size:
        raise InputError(
            f"labels: got {labels.dtype} {labels.shape}, expected whole numbers [n] (of logits, their argmax)"
        )
    if labels.min() < 0 or labels.max() >= classes:
        raise InputError(f"labels: got labels from {labels.min()} to {labels.max()}, expected 0 to {classes - 1}")
    counts = np.bincount(labels.astype(np.int64), minlength=classes)
    return int(np.count_nonzero(counts)), counts
