"""One-vs-rest linear SVMs on fixed features (appendix B), those of all classes fitted at once.

For every class k what scikit-learn's LinearSVC minimises by default, the intercept regularised like a weight:

    0.5 |w_k|^2 + 0.5 b_k^2 + C sum_i max(0, 1 - y_ik (w_k . x_i + b_k))^2,    y_ik = +1 or -1; 0 does not count.

LinearSVC itself goes class by class, and needs the features in float64 and once more in 16 bytes an entry. Here they
stay in float32, on their device, and are never copied but for `RowSpace`. On random clusters of unit length the
objective ended less than 2e-6 above LinearSVC's, relatively, in 10 (C = 0.01) to 110 (C = 100) evaluations.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from scipy.optimize import minimize
from threadpoolctl import ThreadpoolController
from torch import Tensor

LBFGS_OPTIONS = {"ftol": 1e-7, "gtol": 0.0, "maxiter": 10_000, "maxfun": 10_000}  # in float32 rounding moves f by 1e-8
TOLERATED_GAP = 1e-3  # relative
NUM_DIRECTIONS = 64
VIOLATING_SHARE = 0.2  # of the images, that violate the margin; a guess, which only moves the number of iterations

Score = Callable[[Tensor, Tensor], float]


def fit(features: Tensor, targets: Tensor, c: float, start: Tensor | None = None) -> Tensor:
    """The weights [D + 1, K], float32, intercepts last, of K linear SVMs.

    Args:
        features: float32 [N, D].
        targets: int8 [N, K]: 1, -1, or 0 where an image does not count for a class; on the device of the features.
        c: the penalty of the margin's violations.
        start: weights [D + 1, K] to start from, rather than from 0.

    Raises:
        RuntimeError: where the optimiser did not converge.
    """
    shape = (features.shape[1] + 1, targets.shape[1])
    stretch = Preconditioner.of(features, c)

    def stretched(flat: np.ndarray) -> tuple[float, np.ndarray]:
        value, gradient = objective(stretch(on_device(flat)), features, targets, c)
        return value, stretch(gradient).double().cpu().numpy().ravel()

    def on_device(flat: np.ndarray) -> Tensor:
        return torch.from_numpy(flat).to(features.device, torch.float32).view(shape)

    first = features.new_zeros(shape) if start is None else stretch.inverse()(start)
    # OpenBLAS, in which scipy computes, has threads of its own that spin between calls and slow torch's down threefold.
    with ThreadpoolController().select(internal_api="openblas", threading_layer="pthreads").limit(limits=1):
        found = minimize(
            stretched, first.double().cpu().numpy().ravel(), jac=True, method="L-BFGS-B", options=LBFGS_OPTIONS
        )
    # Where rounding stops the line search: half the squared gradient is about the most by which the objective lies
    # above its minimum, as it curves by about 1 at least.
    if not found.success and 0.5 * np.square(found.jac).sum() > TOLERATED_GAP * found.fun:
        raise RuntimeError(f"The SVMs for C = {c:g} did not converge in {found.nit} iterations: {found.message}")
    return stretch(on_device(found.x))


def objective(weights: Tensor, features: Tensor, targets: Tensor, c: float) -> tuple[float, Tensor]:
    """What is minimised, summed over the classes, and its gradient [D + 1, K], at weights [D + 1, K]."""
    violations = targets * (1 - targets * scores(features, weights)).relu_()
    value = 0.5 * weights.square().sum(dtype=torch.float64) + c * violations.square().sum(dtype=torch.float64)
    return value.item(), torch.sub(weights, transposed(features, violations), alpha=2 * c)


def scores(features: Tensor, weights: Tensor) -> Tensor:
    """w_k . x_i + b_k: float32 [N, K] of features [N, D] and weights [D + 1, K]."""
    return torch.addmm(weights[-1], features, weights[:-1])


def transposed(features: Tensor, images: Tensor) -> Tensor:
    """What `scores` is the transpose of: [D + 1, K] of features [N, D] and numbers [N, K]."""
    return torch.cat([features.T @ images, images.sum(dim=0, keepdim=True)])


@dataclass(frozen=True)
class Preconditioner:
    """Weights stretched along orthonormal directions [D + 1, R] by `factors` [R]: L-BFGS works on the weights before
    it, for which the objective curves about alike in all directions, and gets by with a tenth of the iterations.

    The factors are those of the directions in which the features, with a 1 for the intercept, vary most: where their
    sum of squares is s^2, the objective curves by about 1 + 2 C s^2 times the share of images that violate the margin.
    """

    directions: Tensor
    factors: Tensor

    @classmethod
    def of(cls, features: Tensor, c: float) -> "Preconditioner":
        """Of features [N, D], by two rounds of randomised subspace iteration (Halko et al. 2011, algorithm 4.4)."""
        shape = (features.shape[1] + 1, min(NUM_DIRECTIONS, *features.shape))
        basis = torch.randn(shape, generator=torch.Generator().manual_seed(0)).to(features.device)
        for _ in range(2):
            basis = orthonormal(transposed(features, orthonormal(scores(features, basis))))
        _, lengths, mix = torch.linalg.svd(scores(features, basis), full_matrices=False)
        curvatures = 1 + 2 * c * VIOLATING_SHARE * lengths.square()
        return cls(basis @ mix.T, (curvatures[-1] / curvatures).sqrt())

    def __call__(self, weights: Tensor) -> Tensor:
        return weights + self.directions @ ((self.factors - 1)[:, None] * (self.directions.T @ weights))

    def inverse(self) -> "Preconditioner":
        return Preconditioner(self.directions, 1 / self.factors)


def orthonormal(columns: Tensor) -> Tensor:
    return torch.linalg.qr(columns).Q


class RowSpace:
    """What the rows of features [N, D] span, N < D, by an orthonormal basis.

    The minimum lies in it, for every C and every class, with some of the rows or with all: a part of w that is
    orthogonal to all rows changes no score, and only adds to |w|. So N numbers an image do in place of D, exactly.
    """

    def __init__(self, features: Tensor) -> None:
        self.reflectors, self.factors = torch.geqrf(features.T)  # of Q R; Q [D, N] itself is not needed

    def coordinates(self) -> Tensor:
        """The rows in this basis: [N, N]."""
        return self.reflectors[: self.reflectors.shape[1]].triu().T

    def lifted(self, weights: Tensor) -> Tensor:
        """Weights [N + 1, K] for coordinates as weights [D + 1, K] for features."""
        num_features, num_rows = self.reflectors.shape
        padded = torch.cat([weights[:-1], weights.new_zeros(num_features - num_rows, weights.shape[1])])
        return torch.cat([torch.ormqr(self.reflectors, self.factors, padded), weights[-1:]])


@dataclass(frozen=True)
class Chosen:
    """SVMs fitted on all images [D + 1, K], and how their C was chosen: the score on the held-out images by C."""

    weights: Tensor
    c: float
    by_c: dict[float, float]


def choose_and_fit(features: Tensor, targets: Tensor, held_out: Tensor, grid: Sequence[float], score: Score) -> Chosen:
    """Choose C on held-out images, and fit on all.

    Args:
        features: float32 [N, D].
        targets: int8 [N, K], as `fit` takes them.
        held_out: int64 [M], the rows on which each C is scored, fitted on the others.
        grid: values of C, which are gone through upwards, each started from the one before.
        score: what is to be as large as can be, of scores [M, K] and `held_out`; of equal ones the smallest C wins.

    Raises:
        RuntimeError: where the optimiser did not converge.
    """
    span = RowSpace(features) if features.shape[1] > 2 * len(features) else None  # below, it costs more than it saves
    rows = span.coordinates() if span else features
    without = targets.index_fill(0, held_out, 0)  # rather than a copy of the other rows
    fitted: dict[float, Tensor] = {}
    by_c: dict[float, float] = {}
    weights = None
    for c in sorted(grid):
        weights = fitted[c] = fit(rows, without, c, weights)
        by_c[c] = score(scores(rows, weights)[held_out], held_out)
    best = max(by_c, key=by_c.__getitem__)  # the first of equal ones
    weights = fit(rows, targets, best, fitted[best])
    return Chosen(span.lifted(weights) if span else weights, best, by_c)
