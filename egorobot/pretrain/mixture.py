"""Which clip stands where in training: corpora mixed by weight, a pure function of seed and place."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction

import numpy as np
from numpy.typing import NDArray

from egorobot.errors import UserError


@dataclass(frozen=True)
class MixedClips:
    """The training clips of one corpus, as a mixture takes them.

    Attributes:
        name: of the corpus, for messages.
        clips: their numbers in the corpus, whole groups one after the other.
        group_size: clips of a group.
        weight: how often they are seen, relative to the other corpora's weights; above 0.
    """

    name: str
    clips: Sequence[int]
    group_size: int = 1
    weight: float = 1.0


class Mixture:
    """An endless sequence of clips out of several corpora.

    The sequence is cut into slots of as many clips as the least common multiple of all
    group sizes. A slot belongs to one corpus; the corpora's slots are spread as evenly as
    their weights allow. Each epoch of a corpus shows every clip of it once, group by
    group, in another order. Any place can be asked for without those before it.

    Args:
        parts: the corpora.
        seed: of the orders.

    Attributes:
        slot_size: clips of a slot.

    Raises:
        UserError: a weight is not above 0.
    """

    def __init__(self, parts: Sequence[MixedClips], seed: int) -> None:
        for part in parts:
            if not (part.weight > 0 and math.isfinite(part.weight)):
                raise UserError(f"weight={part.weight} of corpus {part.name}: it must be above 0")
        self.parts = list(parts)
        self.seed = seed
        self.slot_size = math.lcm(*(part.group_size for part in parts))
        # Fractions, so that no rounding moves a clip however far training goes.
        weights = [Fraction(part.weight).limit_denominator(10**6) for part in parts]
        self.shares = [weight / sum(weights) for weight in weights]
        self._of_rest = [(weight / sum(weights[i:])).as_integer_ratio() for i, weight in enumerate(weights)]
        self._orders: dict[int, tuple[int, NDArray[np.int64]]] = {}  # of each corpus: an epoch, its order

    def check_batch(self, batch_size: int) -> None:
        """Check that batches of `batch_size` clips are made of whole slots, and of different clips within an epoch.

        A batch that is the end of one epoch and the beginning of the next may have a clip twice.

        Raises:
            UserError: they are not.
        """
        if batch_size % self.slot_size:
            raise UserError(
                f"batch_size={batch_size}: it must be a multiple of {self.slot_size}, since clips come in groups"
            )
        for part, share in zip(self.parts, self.shares, strict=True):
            if share * batch_size > len(part.clips):
                raise UserError(
                    f"batch_size={batch_size} takes {math.ceil(share * batch_size)} clips of corpus {part.name}, "
                    f"which has {len(part.clips)} to train on: use more clips, or a smaller batch"
                )

    def clips(self, start: int, stop: int) -> list[tuple[int, int]]:
        """Return the clips at places `start` to `stop` - 1: which corpus, and the number in it."""
        return [self._clip(place) for place in range(start, stop)]

    def _clip(self, place: int) -> tuple[int, int]:
        slot, offset = divmod(place, self.slot_size)
        corpus, earlier = self._owner(slot)
        part = self.parts[corpus]
        group, member = divmod(earlier * self.slot_size + offset, part.group_size)
        epoch, position = divmod(group, len(part.clips) // part.group_size)
        first = int(self._order(corpus, epoch)[position]) * part.group_size
        return corpus, part.clips[first + member]

    def _owner(self, slot: int) -> tuple[int, int]:
        """Return the corpus of `slot`, and how many slots it had before.

        The first corpus takes slot n if floor((n + 1) w) is above floor(n w), w being its
        share; what it leaves is split among the rest in the same way.
        """
        for corpus, (numerator, denominator) in enumerate(self._of_rest):
            before = slot * numerator // denominator
            if (slot + 1) * numerator // denominator > before:
                return corpus, before
            slot -= before
        raise AssertionError("the last corpus takes whatever is left")

    def _order(self, corpus: int, epoch: int) -> NDArray[np.int64]:
        """Return the order of a corpus's groups in `epoch`."""
        known, order = self._orders.get(corpus, (-1, np.empty(0, np.int64)))
        if known != epoch:
            part = self.parts[corpus]
            groups = len(part.clips) // part.group_size
            order = np.random.default_rng([self.seed, 0, corpus, epoch]).permutation(groups)
            self._orders[corpus] = epoch, order
        return order
