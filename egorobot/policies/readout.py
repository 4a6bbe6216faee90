"""A linear readout between a frozen encoder and its policy: where the arm is about to go.

An encoder hands on hundreds or thousands of numbers, and a hundred demonstrations show a
hundred kitchens: an MLP on all of those numbers learns the demonstrations by heart. What
the policy needs of the image is little, above all where things are. The readout reads it
off linearly: ridge regression from embeddings to the arm's own joint positions in a while,
which demonstrations tell without labels. What it predicts takes the embedding's place.

On the demonstrations it was fitted to a readout is surer than on new ones. A policy
trained on such numbers trusts them too much: it is trained on what the readout of all
other demonstrations says of each (leave-one-out, in closed form), and acts on what the
readout of them all says.
"""

from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.linalg import cho_factor, cho_solve
from torch import nn

from egorobot.errors import UserError

HORIZONS = (5, 10, 20, 40)  # control steps ahead: 0.4 to 3.2 s at 12.5 Hz
PENALTIES = (0.01, 0.03, 0.1, 0.3, 1.0, 3.0, 10.0, 30.0, 100.0)  # beside a kernel with a diagonal of 1 on average
MAX_ROWS = 1500  # that it is fitted to, evenly spaced: the cost grows with their cube
INTERCEPT = 100.0  # of the kernel
STD_FLOOR = 1e-3  # what hardly varies is not blown up
SMALLEST_STD = 1e-6

Floats = NDArray[np.float64]


class Readout(nn.Module):
    """Maps embeddings (N, D) linearly to predictions (N, K); part of the checkpoint."""

    def __init__(self, dim: int, outputs: int) -> None:
        super().__init__()
        self.register_buffer("weight", torch.zeros(outputs, dim))
        self.register_buffer("bias", torch.zeros(outputs))

    def forward(self, embeddings: torch.Tensor) -> torch.Tensor:
        """Return predictions (N, K) from embeddings (N, D)."""
        return nn.functional.linear(embeddings, self.weight, self.bias)

    def fit(self, embeddings: NDArray[np.float32], targets: Floats, lengths: Sequence[int]) -> NDArray[np.float32]:
        """Fit to demonstrations, with the largest penalty that predicts left-out ones about as well as the best.

        Args:
            embeddings: of all steps, (N, D).
            targets: what to predict of each, in one unit, (N, K).
            lengths: steps of each demonstration; N is their sum.

        Returns:
            For each step, what the readout of all other demonstrations predicts, (N, K).

        Raises:
            UserError: there is one demonstration only.
        """
        if len(lengths) < 2:
            raise UserError("policy.readout needs 2 demonstrations or more: raise num_demos, or policy.readout=null")
        mean, scale = embeddings.mean(0, dtype=np.float64), _scale(embeddings)
        features = ((embeddings - mean) / scale).astype(np.float32)
        if not features.any():  # an encoder that sees nothing tells nothing, of left-out ones either
            self.bias = torch.from_numpy(targets.mean(0).astype(np.float32))
            return np.tile(self.bias.numpy(), (len(embeddings), 1))
        demos = np.repeat(np.arange(len(lengths)), lengths)
        ridge = _Ridge(features, targets, demos)
        left_out = [ridge.left_out(penalty) for penalty in PENALTIES]
        best = _largest_within_error([_errors_by_demo(predicted - targets, demos) for predicted in left_out])
        slope, intercept = ridge.fit(PENALTIES[best])
        weight = slope / scale[:, None]
        self.weight = torch.from_numpy(weight.T.astype(np.float32))
        self.bias = torch.from_numpy((intercept - mean @ weight).astype(np.float32))
        return left_out[best].astype(np.float32)


def _largest_within_error(errors: Sequence[Floats]) -> int:
    """Return the last of `errors` (demos,) whose mean is within a standard error of the least (Breiman et al. 1984).

    They are in order of the penalty: the larger, the less the policy learns by heart.
    """
    means = [float(error.mean()) for error in errors]
    least = int(np.argmin(means))
    bound = means[least] + float(errors[least].std()) / np.sqrt(len(errors[least]))
    return max(i for i, mean in enumerate(means) if mean <= bound)


def _errors_by_demo(differences: Floats, demos: NDArray[np.int64]) -> Floats:
    return np.bincount(demos, np.square(differences).sum(1)) / np.bincount(demos)


class _Ridge:
    """Ridge regression from standardised features, in its dual form.

    Args:
        features: (N, D).
        targets: in one unit, (N, K).
        demos: the demonstration of each row, (N,).
    """

    def __init__(self, features: NDArray[np.float32], targets: Floats, demos: NDArray[np.int64]) -> None:
        self.targets = targets
        self.demos = demos
        self.rows = np.unique(np.linspace(0, len(features) - 1, MAX_ROWS).astype(np.int64))
        self.fitted = features[self.rows] / np.float32(np.sqrt(features.shape[1]))
        kernel = features @ self.fitted.T / np.sqrt(features.shape[1])  # (N, rows)
        # The constant is a feature too, of hardly any penalty. Centred features without it
        # sum to zero: a left-out row would be known from the others.
        self.kernel: Floats = kernel.astype(np.float64) + INTERCEPT

    def _solve(self, penalty: float) -> tuple[Floats, Floats]:
        """Return the inverse of the penalised kernel, (rows, rows), and the dual coefficients, (rows, K)."""
        size = len(self.rows)
        factor = cho_factor(self.kernel[self.rows] + penalty * np.eye(size))
        inverse = cho_solve(factor, np.eye(size))
        return inverse, inverse @ self.targets[self.rows]

    def fit(self, penalty: float) -> tuple[Floats, Floats]:
        """Return the weights of the features, (D, K), and the intercept, (K,)."""
        _, dual = self._solve(penalty)
        return self.fitted.T @ dual / np.sqrt(self.fitted.shape[1]), INTERCEPT * dual.sum(0)

    def left_out(self, penalty: float) -> Floats:
        """Return for each row what the fit to all other demonstrations predicts, (N, K).

        With H the inverse of the penalised kernel, the fit without the rows g has the dual
        coefficients a - H[:, g] H[g, g]^-1 a[g], which are zero at g.
        """
        inverse, dual = self._solve(penalty)
        predicted = np.empty_like(self.targets)
        for demo in np.unique(self.demos):
            own = np.flatnonzero(self.demos[self.rows] == demo)
            rest = dual - inverse[:, own] @ np.linalg.solve(inverse[np.ix_(own, own)], dual[own])
            rows = self.demos == demo
            predicted[rows] = self.kernel[rows] @ rest
        return predicted


def future_targets(proprio: NDArray[np.float32], lengths: Sequence[int]) -> Floats:
    """Return the joint positions `HORIZONS` steps on, (N, len(HORIZONS) * J), of `proprio` (N, J).

    Past the end of a demonstration they are the last ones.
    """
    ends = np.repeat(np.cumsum(lengths) - 1, lengths)
    steps = np.arange(len(proprio))
    return np.concatenate([proprio[np.minimum(steps + ahead, ends)] for ahead in HORIZONS], axis=1).astype(np.float64)


def _scale(values: NDArray[np.float32]) -> Floats:
    std = values.std(0, dtype=np.float64)
    return np.maximum(std, max(STD_FLOOR * float(std.max()), SMALLEST_STD))
