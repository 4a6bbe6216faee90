"""The model that training starts from: drawn weights, those of a CLIP, or those of an encoder folder."""

import warnings
from collections.abc import Iterable
from dataclasses import replace

import torch
from torch import Tensor

from egorobot.errors import UserError
from egorobot.pretrain.model import EgoVideo, EgoVideoConfig
from egorobot.pretrain.model.folder import read_folder
from egorobot.pretrain.model.text import NUM_SPECIAL, vocabulary_of
from egorobot.pretrain.options import PretrainOptions

OPEN_CLIP = "open_clip:"
TOKEN_EMBEDDING = "text.transformer.token_embedding.weight"


def initial_config(options: PretrainOptions) -> EgoVideoConfig:
    """Return the sizes of the model that training starts from; its vocabulary may grow.

    They are the size's, or those of the encoder folder to start from, with the changes
    that `options.model` asks for, and a head that tells boxes if boxes count.

    Raises:
        UserError: the weights to start from are missing, or of another size, or the model is
            to have a head that nothing would train, or none where boxes count.
    """
    if options.model.get("box_head", options.box_weight > 0) != (options.box_weight > 0):
        raise UserError(
            f"model.box_head={options.model['box_head']} with box_weight={options.box_weight:g}: "
            "the head is there where boxes count, choose box_weight= alone"
        )
    if options.init is None:
        return _with_head(options, options.model_config())
    try:
        if (name := _open_clip_name(options.init)) is None:
            return _with_head(options, replace(_folder_config(options), **options.model))
        from egorobot.pretrain.model.open_clip_weights import config_changes

        changes = {key: value for key, value in config_changes(name).items() if key not in options.model}
        return _with_head(options, replace(options.model_config(), **changes))
    except (TypeError, ValueError, ZeroDivisionError) as error:
        raise UserError(f"init={options.init} and the changes to model do not fit: {error}") from error


def _with_head(options: PretrainOptions, config: EgoVideoConfig) -> EgoVideoConfig:
    return replace(config, box_head=options.box_weight > 0)


def _folder_config(options: PretrainOptions) -> EgoVideoConfig:
    config, _ = read_folder(str(options.init))
    if config.size != options.size:
        raise UserError(f"init={options.init} is of size {config.size}: choose size={config.size}")
    return config


def find_vocabulary(options: PretrainOptions, config: EgoVideoConfig, captions: Iterable[str]) -> tuple[int, ...]:
    """Return the BPE ids that the text tower is to know; empty stands for all of CLIP's.

    Args:
        options: where `model` gives the vocabulary, it is that.
        config: as `initial_config` returns it; what its weights know is kept.
        captions: all that will be trained on.
    """
    if "vocabulary" in options.model or (options.init is not None and not config.vocabulary):
        return config.vocabulary
    return tuple(sorted({*config.vocabulary, *vocabulary_of(captions)}))


def initial_model(options: PretrainOptions, config: EgoVideoConfig) -> EgoVideo:
    """Return the model before its first step, with float32 weights.

    Args:
        options: what to start from, and the seed of what is drawn.
        config: as `initial_config` returns it, with the vocabulary that was found.

    Raises:
        UserError: the weights to start from do not fit the model.
    """
    model = EgoVideo(config, options.seed)
    if options.init is None:
        return model
    if (name := _open_clip_name(options.init)) is not None:
        from egorobot.pretrain.model.open_clip_weights import load_open_clip

        for note in load_open_clip(model, name).notes:
            warnings.warn(f"init={options.init}: {note}", stacklevel=2)
    else:
        _load_folder(model, options.init)
    return model


def _open_clip_name(init: str) -> str | None:
    return init.removeprefix(OPEN_CLIP) if init.startswith(OPEN_CLIP) else None


def _load_folder(model: EgoVideo, folder: str) -> None:
    """Fill `model` with the weights in `folder`; what is not there stays as it is drawn."""
    there, weights = read_folder(folder)
    drawn = model.state_dict()
    if there.vocabulary and model.config.vocabulary:
        tokens = weights[TOKEN_EMBEDDING], there.vocabulary, drawn[TOKEN_EMBEDDING], model.config.vocabulary
        weights[TOKEN_EMBEDDING] = _move_tokens(*tokens)
    weights = {name: tensor for name, tensor in weights.items() if name in drawn}
    for name, tensor in weights.items():
        if tensor.shape != drawn[name].shape:
            raise UserError(
                f"init={folder} does not fit at {name}: {tuple(tensor.shape)} there, "
                f"{tuple(drawn[name].shape)} here; leave out the changes to model"
            )
    model.load_state_dict(weights, strict=False)


def _move_tokens(old: Tensor, old_ids: tuple[int, ...], new: Tensor, new_ids: tuple[int, ...]) -> Tensor:
    """Return the token embedding `new` with the rows of those words that `old` knows."""
    row = {token: NUM_SPECIAL + i for i, token in enumerate(old_ids)}
    moved = new.clone()
    moved[:NUM_SPECIAL] = old[:NUM_SPECIAL]
    known = [(NUM_SPECIAL + i, row[token]) for i, token in enumerate(new_ids) if token in row]
    to, source = torch.tensor(known).T
    moved[to] = old[source]
    return moved
