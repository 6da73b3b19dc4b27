"""The SVMs of all classes at once, checked against scikit-learn's, fitted class by class."""

import numpy as np
import pytest
import torch
from sklearn.svm import LinearSVC
from torch import Tensor
from torch.nn import functional as F

from vggsuite.transfer import svm


def clusters(num_images: int = 120, num_features: int = 40, num_classes: int = 4) -> tuple[Tensor, Tensor]:
    """Features of unit length and targets, one class an image and some of them wrong."""
    generator = torch.Generator().manual_seed(0)
    labels = torch.arange(num_images) % num_classes
    centres = torch.randn(num_classes, num_features, generator=generator)
    noise = torch.randn(num_images, num_features, generator=generator)
    features = F.normalize((centres[labels] + 2 * noise).relu())
    labels[:6] = labels[:6].flip(0)
    return features, torch.where(labels[:, None] == torch.arange(num_classes), 1, -1).to(torch.int8)


def scikit_learns(features: Tensor, targets: Tensor, c: float) -> Tensor:
    """Weights as `svm.fit` gives them, of LinearSVC fitted class by class on the rows that count."""
    columns = []
    for own in targets.T:
        fitted = LinearSVC(C=c, tol=1e-9, max_iter=100_000).fit(features[own != 0].double(), own[own != 0])
        columns.append(np.append(fitted.coef_[0], fitted.intercept_[0]))
    return torch.from_numpy(np.stack(columns, axis=1)).float()


def by_definition(weights: Tensor, features: Tensor, targets: Tensor, c: float) -> Tensor:
    """What each class minimises, image by image: float64 [K]."""
    values = 0.5 * weights.double().square().sum(dim=0)
    for image, own in zip(features.double(), targets, strict=True):
        for k in range(len(own)):
            if own[k]:
                score = image @ weights[:-1, k].double() + weights[-1, k].double()
                values[k] += c * max(0.0, 1 - int(own[k]) * score.item()) ** 2
    return values


@pytest.mark.parametrize("c", [0.01, 1.0, 100.0])
@pytest.mark.parametrize("num_features", [20, 300])
def test_they_are_those_of_scikit_learn(c: float, num_features: int) -> None:
    features, targets = clusters(num_features=num_features)
    ours, theirs = svm.fit(features, targets, c), scikit_learns(features, targets, c)
    assert ours.dtype == torch.float32
    assert (ours - theirs).norm() < 0.01 * theirs.norm()
    torch.testing.assert_close(ours[-1], theirs[-1], atol=0.01, rtol=0.01)
    values, least = (by_definition(weights, features, targets, c) for weights in (ours, theirs))
    torch.testing.assert_close(values, least, rtol=1e-4, atol=0)


def test_difficult_images_do_not_count() -> None:
    features, targets = clusters()
    targets[torch.rand(targets.shape, generator=torch.Generator().manual_seed(1)) < 0.3] = 0
    theirs = scikit_learns(features, targets, 1.0)
    torch.testing.assert_close(svm.fit(features, targets, 1.0), theirs, atol=0.01, rtol=0)


def test_scores_are_scikit_learns_decision_function() -> None:
    features, targets = clusters()
    fitted = LinearSVC().fit(features, targets[:, 0])
    weights = torch.from_numpy(np.append(fitted.coef_[0], fitted.intercept_)).float()[:, None]
    expected = torch.from_numpy(fitted.decision_function(features)).float()
    torch.testing.assert_close(svm.scores(features, weights)[:, 0], expected)


def test_the_gradient_is_that_of_the_objective() -> None:
    features, targets = clusters(20, 6)
    targets[::3, 0] = 0
    weights = torch.randn(7, 4, generator=torch.Generator().manual_seed(2))
    value, gradient = svm.objective(weights, features, targets, 0.7)
    assert value == pytest.approx(by_definition(weights, features, targets, 0.7).sum().item(), rel=1e-5)
    found = torch.empty_like(weights)
    for place in np.ndindex(*weights.shape):
        step = torch.zeros_like(weights)
        step[place] = 1e-2  # rounding in float32 forbids a smaller one
        above, below = (svm.objective(weights + side * step, features, targets, 0.7)[0] for side in (1, -1))
        found[place] = (above - below) / 2e-2
    torch.testing.assert_close(gradient, found, atol=0.02, rtol=0)


def test_a_warm_start_leads_to_the_same() -> None:
    features, targets = clusters()
    cold = svm.scores(features, svm.fit(features, targets, 10.0))
    warm = svm.scores(features, svm.fit(features, targets, 10.0, svm.fit(features, targets, 1.0)))
    torch.testing.assert_close(warm, cold, atol=0.01, rtol=0)


@pytest.mark.parametrize("c", [0.01, 1.0, 100.0])
def test_a_start_at_the_minimum_stays_there(c: float) -> None:
    features, targets = clusters()
    start = scikit_learns(features, targets, c)
    given = start.clone()
    torch.testing.assert_close(svm.fit(features, targets, c, start), start, atol=0.01, rtol=0)
    assert torch.equal(start, given)


@pytest.mark.parametrize("repeated", [False, True])
def test_the_span_of_the_rows_gives_the_same(repeated: bool) -> None:
    features, targets = clusters(60, 300)
    features[3] = 0
    if repeated:
        features[30:] = features[:30]
    others = torch.rand(50, 300, generator=torch.Generator().manual_seed(3))
    span = svm.RowSpace(features)
    rows = span.coordinates()
    assert rows.shape == (60, 60)
    torch.testing.assert_close(rows @ rows.T, features @ features.T, atol=1e-5, rtol=0)
    weights = svm.fit(rows, targets, 1.0)
    lifted = span.lifted(weights)
    assert lifted.shape == (301, 4)
    torch.testing.assert_close(svm.scores(features, lifted), svm.scores(rows, weights), atol=1e-4, rtol=0)
    whole = svm.fit(features, targets, 1.0)
    torch.testing.assert_close(svm.scores(others, lifted), svm.scores(others, whole), atol=0.03, rtol=0)


def test_images_without_features_and_one_class() -> None:
    targets = torch.tensor([[1], [-1], [-1], [-1]], dtype=torch.int8)
    weights = svm.fit(torch.zeros(4, 5), targets, 1.0)
    assert torch.equal(weights[:-1], torch.zeros(5, 1))
    # 0.5 b^2 + (1 - b)^2 + 3 (1 + b)^2 is least at b = -4/9
    assert weights[-1].item() == pytest.approx(-4 / 9, abs=1e-3)


def test_an_optimiser_that_stops_early_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    features, targets = clusters()
    monkeypatch.setitem(svm.LBFGS_OPTIONS, "maxiter", 2)
    with pytest.raises(RuntimeError, match=r"C = 10 did not converge in 2 iterations"):
        svm.fit(features, targets, 10.0)


@pytest.mark.parametrize("num_features", [20, 300])
def test_c_is_chosen_on_the_held_out_images_and_all_are_fitted(num_features: int) -> None:
    features, targets = clusters(num_features=num_features)
    held_out, seen = torch.arange(1, 120, 3), []

    def hits(scores: Tensor, rows: Tensor) -> float:
        seen.append(scores)
        return (scores.argmax(dim=1) == targets[rows].argmax(dim=1)).double().mean().item()

    chosen = svm.choose_and_fit(features, targets, held_out, [10.0, 0.1, 1.0], hits)
    rest = np.setdiff1d(np.arange(120), held_out)
    assert list(chosen.by_c) == [0.1, 1.0, 10.0]
    for c, scores in zip(chosen.by_c, seen, strict=True):
        theirs = svm.scores(features, scikit_learns(features[rest], targets[rest], c))[held_out]
        torch.testing.assert_close(scores, theirs, atol=0.02, rtol=0)
    assert chosen.by_c[chosen.c] == max(chosen.by_c.values())
    theirs = scikit_learns(features, targets, chosen.c)
    torch.testing.assert_close(svm.scores(features, chosen.weights), svm.scores(features, theirs), atol=0.02, rtol=0)


def test_of_equal_scores_the_smallest_c_wins() -> None:
    features, targets = clusters()
    by_call = iter([0.5, 0.7, 0.7])
    chosen = svm.choose_and_fit(features, targets, torch.arange(10), [0.1, 1, 10], lambda *_: next(by_call))
    assert chosen.c == 1
    assert chosen.by_c == {0.1: 0.5, 1: 0.7, 10: 0.7}
