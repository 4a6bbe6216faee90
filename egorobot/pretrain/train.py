"""From options to an encoder folder: prepare the clips, train, evaluate, save; a killed run goes on."""

import json
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from pathlib import Path

from egorobot.errors import UserError
from egorobot.files import check_out, holds_something, sole_user, write_json
from egorobot.pretrain.checkpoint import CHECKPOINT_FILE
from egorobot.pretrain.data import open_data
from egorobot.pretrain.distributed import Ranks
from egorobot.pretrain.initial import find_vocabulary, initial_config, initial_model
from egorobot.pretrain.metrics import check_wandb
from egorobot.pretrain.model import EgoVideo
from egorobot.pretrain.options import PretrainOptions, RunOptions
from egorobot.pretrain.probing import Probes
from egorobot.pretrain.trainer import Trainer
from egorobot.pretrain.wordings import learn_wordings

RECORD_FILE = "pretrain.json"  # options, and the result once training is over


def pretrain(
    out: str | Path, options: PretrainOptions, how: RunOptions | None = None, ranks: Ranks | None = None
) -> Probes:
    """Train an encoder and save it in the folder `out`; go on where a killed run stopped.

    While another run trains into the same folder, this one waits for it.

    Args:
        out: encoder folder, with the training's record and metrics.
        options: what is trained.
        how: how the work is done.
        ranks: the processes that train together, each of which calls this; None is this one alone.

    Returns:
        Scores on the held-out clips; every process has them.

    Raises:
        UserError: an option does not fit the clips, `out` holds something else or an encoder
            trained with other options, processes have different options, or the loss was not finite.
    """
    out, how, ranks = Path(out), how or RunOptions(), ranks or Ranks()
    _check_same(options, ranks)
    with ranks.together():
        check_wandb(how.wandb_project)
    # What is finished is only read: the folder may be one that this process must not write to.
    if ranks.from_first(lambda: _finished(out, options)) is not None:
        return _train(out, options, how, ranks)
    with _alone_in(out, ranks):
        return _train(out, options, how, ranks)


def _check_same(options: PretrainOptions, ranks: Ranks) -> None:
    """Refuse to train in processes whose options differ, or whose hardware chose different ones."""
    first, *others = ranks.gather_objects(options.to_dict())
    differing = [
        (name, first[name], value) for other in others for name, value in other.items() if value != first[name]
    ]
    with ranks.together():
        if differing:
            name, value, other = differing[0]
            raise UserError(
                f"processes that train together differ in {name} ({value} and {other}): give them all the same "
                "options, and precision= where their hardware is not the same"
            )


@contextmanager
def _alone_in(out: Path, ranks: Ranks) -> Iterator[None]:
    """Keep other runs out of the folder `out`, which is made if need be."""
    with ExitStack() as held:

        def enter() -> None:
            check_out(out, folder=True)
            try:
                out.mkdir(parents=True, exist_ok=True)
            except OSError as error:
                raise UserError(f"{out} cannot be made ({error.strerror}): choose another out=") from error
            held.enter_context(sole_user(out, "an encoder", wait=True))

        ranks.from_first(enter)
        yield


def _train(out: Path, options: PretrainOptions, how: RunOptions, ranks: Ranks) -> Probes:
    if (finished := ranks.from_first(lambda: _claim(out, options))) is not None:
        if ranks.first:
            print(f"already trained: {out}")
        return finished
    started = time.monotonic()

    def first_model(vocabulary: tuple[int, ...]) -> EgoVideo:
        return initial_model(options, replace(config, vocabulary=vocabulary))

    with ranks.together():
        config = initial_config(options)
        if options.init is not None:
            first_model(config.vocabulary)  # or say that it does not fit, before anything is rendered
    data = open_data(options, config, how, ranks)
    prepared = time.monotonic()
    vocabulary = ranks.from_first(lambda: find_vocabulary(options, config, data.captions()))
    with ranks.together():
        model = first_model(vocabulary)
    if not ranks.from_first(lambda: (out / CHECKPOINT_FILE).exists()):
        learn_wordings(model, data.batches, options, ranks)
    trainer = Trainer(model, data, out, options, how, ranks)
    trainer.train()
    trained = trainer.plain_model()
    times = {"clips_s": round(prepared - started, 1), "train_s": round(time.monotonic() - prepared, 1)}

    def finish() -> Probes:
        assert trained is not None  # in the first process
        trained.save_pretrained(out)
        result = trainer.validate(trained)
        record = {"options": options.to_dict(), "result": result.to_dict(), "fingerprint": trained.fingerprint, **times}
        write_json(out / RECORD_FILE, record)
        trainer.clean_up()
        if trainer.quarantine is not None and trainer.quarantine.num_bad:
            print(trainer.quarantine.summary())
        return result

    return ranks.from_first(finish)


def _claim(out: Path, options: PretrainOptions) -> Probes | None:
    """Return the result of an earlier run with these options; where there is none, make the folder ours."""
    result = _finished(out, options)
    if result is None:
        write_json(out / RECORD_FILE, {"options": options.to_dict(), "result": None})
    return result


def _finished(out: Path, options: PretrainOptions) -> Probes | None:
    record_file = out / RECORD_FILE
    if not record_file.exists():
        if out.is_dir() and holds_something(out):
            raise UserError(f"{out} is not empty and holds no {RECORD_FILE}: choose another out=")
        return None
    try:
        record = json.loads(record_file.read_text(encoding="utf-8"))
        same = record["options"] == options.to_dict()
        result = None if record["result"] is None or not same else Probes.from_dict(record["result"])
    except (ValueError, TypeError, KeyError) as error:
        raise UserError(f"{record_file} is damaged: remove the folder {out}, or choose another out=") from error
    if not same:
        raise UserError(f"{out} was trained with other options (see {RECORD_FILE} there): choose another out=")
    if result is not None:
        EgoVideo.from_pretrained(out)  # or say what is wrong with it
    return result
