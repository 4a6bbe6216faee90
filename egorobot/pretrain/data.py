"""The corpora that the options name, split and mixed for training."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from egorobot.errors import UserError
from egorobot.pretrain.batches import TrainingBatches, TrainingCorpus
from egorobot.pretrain.corpora.sources import make_corpus, render_clips
from egorobot.pretrain.distributed import Ranks
from egorobot.pretrain.model import EgoVideoConfig
from egorobot.pretrain.options import PretrainOptions, RunOptions
from egorobot.pretrain.samples import Corpus


@dataclass(frozen=True)
class Data:
    """What is trained on, and what is held out.

    Attributes:
        batches: those of this process.
        held_out: numbers of clips of the first corpus, which the model is evaluated on.
    """

    batches: TrainingBatches
    held_out: Sequence[int]

    @property
    def main(self) -> Corpus:
        """The corpus that the model is evaluated on."""
        return self.batches.corpora[0].corpus

    @property
    def num_clips(self) -> int:
        """Clips of all corpora, those held out among them."""
        return sum(len(source.corpus) for source in self.batches.corpora)

    def captions(self) -> Iterator[str]:
        """Yield all captions of all clips."""
        for source in self.batches.corpora:
            yield from source.corpus.captions()


def open_data(options: PretrainOptions, config: EgoVideoConfig, how: RunOptions, ranks: Ranks) -> Data:
    """Return the clips that `options` ask for; what has to be rendered or indexed, one process does.

    Args:
        options: the corpora, and how they are mixed.
        config: of the model that they are for.
        how: where data are kept, and how many processes make them.
        ranks: the processes that train together.

    Raises:
        UserError: a corpus cannot be made, is too small, or does not fit the batch.
    """
    with ranks.together():
        if options.batch_size % ranks.size:
            raise UserError(f"batch_size={options.batch_size} cannot be shared by {ranks.size} processes")
    corpora: dict[str, Corpus] = {}

    def make() -> None:
        for name, node in options.corpora.items():
            corpora[name] = make_corpus(node.source, config, options.seed, how.data_dir, name)

    def render() -> None:
        for corpus in corpora.values():
            render_clips(corpus, how.num_workers)

    ranks.in_turns(make)
    with ranks.together():
        splits = {name: corpus.split(options.valid_share) for name, corpus in corpora.items()}
        training = [
            TrainingCorpus(corpora[name], splits[name][0], node.weight, node.augmentation)
            for name, node in options.corpora.items()
        ]
        sizes = config.image_size, config.fast_image_size
        batches = TrainingBatches(training, options.batch_size, sizes, options.seed, ranks.rank, ranks.size)
    ranks.in_turns(render)  # last: it takes long, and what does not fit has been told
    return Data(batches, next(iter(splits.values()))[1])
