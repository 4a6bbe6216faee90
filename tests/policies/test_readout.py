"""A readout says what ridge regression says, and of each demonstration what the others say."""

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from scipy.linalg import solve

from egorobot.errors import UserError
from egorobot.policies import readout
from egorobot.policies.readout import HORIZONS, Readout, future_targets

LENGTHS = (9, 12, 7, 10, 11, 8, 9, 12, 10, 12)
DEMOS = np.repeat(np.arange(len(LENGTHS)), LENGTHS)


def kitchens(dim: int, noise: float = 0.1) -> tuple[NDArray[np.float32], NDArray[np.float64]]:
    """Return embeddings (N, dim) and targets (N, 3) of demonstrations that each have a place of their own."""
    rng = np.random.default_rng(0)
    places = rng.normal(size=(len(LENGTHS), 3))[DEMOS]
    embeddings = 5 + places @ rng.normal(size=(3, dim)) + noise * rng.normal(size=(len(DEMOS), dim))
    return embeddings.astype(np.float32), places + np.array([3, -1, 0.5])


def ridge(features: NDArray[np.float64], targets: NDArray[np.float64], penalty: float) -> NDArray[np.float64]:
    """Return weights and, last, the intercept, (D + 1, K), by the normal equations."""
    mean, center = features.mean(0), targets.mean(0)
    gram = (features - mean).T @ (features - mean) + penalty * np.eye(features.shape[1])
    weights = solve(gram, (features - mean).T @ (targets - center))
    return np.vstack([weights, center - mean @ weights])


def predict(model: Readout, embeddings: NDArray[np.float32]) -> NDArray[np.float32]:
    return model(torch.from_numpy(embeddings)).numpy()


@pytest.mark.parametrize("dim", [5, 300])
def test_it_is_ridge_regression(dim: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(readout, "PENALTIES", (0.3,))
    embeddings, targets = kitchens(dim)
    model = Readout(dim, 3)
    left_out = model.fit(embeddings, targets, LENGTHS)
    mean, std = embeddings.mean(0), embeddings.std(0)
    features = np.c_[(embeddings - mean) / std, np.ones(len(embeddings))]
    expected = features @ ridge(features[:, :-1], targets, 0.3 * dim)
    np.testing.assert_allclose(predict(model, embeddings), expected, atol=1e-3)
    for demo in (0, 4):
        own = demo == DEMOS
        others = ridge(features[~own, :-1], targets[~own], 0.3 * dim)
        np.testing.assert_allclose(left_out[own], features[own] @ others, atol=1e-3)


def test_what_is_left_out_is_not_known() -> None:
    rng = np.random.default_rng(1)
    embeddings = rng.normal(size=(len(DEMOS), 500)).astype(np.float32)  # of nothing
    targets = rng.normal(size=(len(LENGTHS), 3))[DEMOS]
    left_out = Readout(500, 3).fit(embeddings, targets, LENGTHS)
    assert np.square(left_out - targets).mean() > 0.9 * targets.var()


def test_the_penalty_grows_with_the_noise() -> None:
    sizes = []
    for noise in (0.1, 10.0):
        embeddings, targets = kitchens(50, noise)
        model = Readout(50, 3)
        model.fit(embeddings, targets, LENGTHS)
        sizes.append(float(predict(model, embeddings).std(0).max()))
    assert sizes[1] < 0.5 * sizes[0]


def test_an_encoder_that_sees_nothing_tells_nothing() -> None:
    _, targets = kitchens(5)
    model = Readout(5, 3)
    left_out = model.fit(np.ones((len(DEMOS), 5), np.float32), targets, LENGTHS)
    assert (left_out == left_out[0]).all()
    np.testing.assert_array_equal(predict(model, np.ones((1, 5), np.float32))[0], left_out[0])
    np.testing.assert_allclose(left_out[0], targets.mean(0), atol=1e-6)


def test_many_rows_are_fitted_to_evenly(monkeypatch: pytest.MonkeyPatch) -> None:
    embeddings, targets = kitchens(20)
    whole = Readout(20, 3)
    whole.fit(embeddings, targets, LENGTHS)
    monkeypatch.setattr(readout, "MAX_ROWS", 50)
    part = Readout(20, 3)
    left_out = part.fit(embeddings, targets, LENGTHS)
    assert left_out.shape == targets.shape
    assert not torch.equal(part.weight, whole.weight)
    np.testing.assert_allclose(predict(part, embeddings), predict(whole, embeddings), atol=0.3)


def test_targets_end_with_the_demonstration() -> None:
    proprio = np.arange(60, dtype=np.float32)[:, None] * [1, 10]
    targets = future_targets(proprio.astype(np.float32), (50, 10))
    assert targets.shape == (60, 2 * len(HORIZONS))
    assert targets[0].tolist() == [5, 50, 10, 100, 20, 200, 40, 400]
    assert targets[45].tolist() == [49, 490] * 4
    assert targets[50].tolist() == [55, 550] + [59, 590] * 3


def test_one_demonstration_is_too_few() -> None:
    with pytest.raises(UserError, match=r"needs 2 demonstrations or more: raise num_demos, or policy.readout=null"):
        Readout(4, 3).fit(np.ones((9, 4), np.float32), np.ones((9, 3)), (9,))
