"""Encoder folders on the Hugging Face Hub: fetched from it, pushed to it with a model card."""

import json
from pathlib import Path
from typing import Any

from huggingface_hub import CommitOperationAdd, HfApi, ModelCardData, snapshot_download
from huggingface_hub.errors import HFValidationError
from huggingface_hub.utils import validate_repo_id  # type: ignore[attr-defined]  # public, says its documentation

from egorobot.errors import UserError
from egorobot.pretrain.model.config import EgoVideoConfig
from egorobot.pretrain.model.folder import CONFIG_FILE, WEIGHTS_FILE, read_folder
from egorobot.pretrain.shipped import SHIPPED, shipped_folder

# What training and conversion write beside an encoder; no part of it, but worth a place on the Hub.
RECORD_FILES = ("pretrain.json", "convert.json")
CARD_FILE = "README.md"


def is_repo_id(name: str) -> bool:
    """Tell whether `name` could be `<organisation>/<model>` on the Hub.

    >>> is_repo_id("someone/egovideo"), is_repo_id("./egovideo"), is_repo_id("a/b/c")
    (True, False, False)
    """
    try:
        validate_repo_id(name)
    except HFValidationError:
        return False
    return name.count("/") == 1


def find_folder(source: str | Path, **options: Any) -> Path:
    """Return the encoder folder that `source` names.

    Args:
        source: a folder; where there is no such folder, `egovideo_nano`, which ships with the
            package, or `<organisation>/<model>` on the Hub.
        options: of `download`, for the Hub.

    Raises:
        UserError: it is on the Hub's side and cannot be had.
    """
    if isinstance(source, str) and not Path(source).exists():
        if source == SHIPPED:
            return shipped_folder()
        if is_repo_id(source):
            return download(source, **options)
    return Path(source)


def download(repo_id: str, revision: str | None = None, **options: Any) -> Path:
    """Return a folder with the encoder `repo_id`, from the Hub or from its cache.

    Only `config.json` and `model.safetensors` are fetched: no code.

    Args:
        repo_id: `<organisation>/<model>`.
        revision: branch, tag or commit; None is the main branch.
        options: of `huggingface_hub.snapshot_download`: `token`, `cache_dir`, `force_download`,
            `local_files_only`.

    Raises:
        UserError: it cannot be had, or is not there.
    """
    wanted = f"{repo_id}@{revision}" if revision else repo_id
    try:
        files = [CONFIG_FILE, WEIGHTS_FILE]
        return Path(snapshot_download(repo_id, revision=revision, allow_patterns=files, **options))
    except Exception as error:  # of several libraries
        raise UserError(
            f"no folder {repo_id}, and {wanted} cannot be had from the Hugging Face Hub ({_first_line(error)}): "
            "check the name, connect to the internet once, or pass a folder"
        ) from error


def push(
    folder: str | Path,
    repo_id: str,
    *,
    records: str | Path | None = None,
    commit_message: str = "Upload EgoVideo",
    private: bool | None = None,
    token: str | None = None,
    branch: str | None = None,
    create_pr: bool | None = None,
) -> str:
    """Upload an encoder folder to the Hub, made there if need be, and return the address of the commit.

    What goes: `config.json`, `model.safetensors`, the records that are there, and a
    `README.md` that is made from them where the folder has none.

    Args:
        folder: as `EgoVideo.save_pretrained`, training or conversion leave it.
        repo_id: `<organisation>/<model>`.
        records: folder with `pretrain.json` or `convert.json`; None is `folder`.
        commit_message: first line of the commit.
        private: whether a repository that is made now is private; None is the organisation's default.
        token: None is the one that `hf auth login` keeps.
        branch: None is the main one.
        create_pr: whether to open a pull request there instead of committing.

    Raises:
        UserError: the folder is damaged, the Hub cannot be reached, or refuses.
    """
    folder, records = Path(folder), Path(records or folder)
    config, _ = read_folder(folder)
    files = [folder / CONFIG_FILE, folder / WEIGHTS_FILE, *(records / name for name in RECORD_FILES)]
    operations = [CommitOperationAdd(path.name, path) for path in files if path.exists()]
    card = folder / CARD_FILE
    text = card.read_text(encoding="utf-8") if card.exists() else model_card(config, repo_id, records)
    operations.append(CommitOperationAdd(CARD_FILE, text.encode()))
    try:
        api = HfApi(token=token)
        repo_id = api.create_repo(repo_id, private=private, exist_ok=True).repo_id
        commit = api.create_commit(
            repo_id, operations, commit_message=commit_message, revision=branch, create_pr=create_pr
        )
    except Exception as error:  # of several libraries
        raise UserError(
            f"cannot push to {repo_id} on the Hugging Face Hub ({_first_line(error)}): "
            "log in with `hf auth login`, and check that the name is yours"
        ) from error
    return str(commit.commit_url)


def model_card(config: EgoVideoConfig, repo_id: str, records: str | Path) -> str:
    """Return the `README.md` of an encoder: what it is, how to load it, what its records say.

    Args:
        config: its sizes.
        repo_id: `<organisation>/<model>`.
        records: folder with `pretrain.json` or `convert.json`, or with neither.
    """
    data = ModelCardData(library_name="egorobot", tags=["egovideo", "egocentric-video", "robotics"])
    streams = f"{config.num_slow} frames of {config.image_size} px"
    if config.streams == "both":
        streams += f" and {config.num_frames} frames of {config.fast_image_size} px"
    lines = [
        "---", data.to_yaml(), "---", f"# {repo_id.rpartition('/')[2]}", "",
        f"An EgoVideo of size {config.size}: {streams}, {config.depth} blocks of {config.width} channels, "
        f"pooling `{config.pooling}`.", "",
        "```python", "import egorobot", "",
        f'encoder = egorobot.load_encoder("{repo_id}")', "```", "",
    ]  # fmt: skip
    for name in RECORD_FILES:
        path = Path(records) / name
        if path.exists():
            lines += _record_lines(name, json.loads(path.read_text(encoding="utf-8")))
    return "\n".join(lines)


def _record_lines(name: str, record: dict[str, Any]) -> list[str]:
    """Return what a model card says of a record: its plain entries and those of its sections."""
    rows = []
    for key, value in record.items():
        if isinstance(value, dict):
            rows += [(f"{key}.{inner}", entry) for inner, entry in value.items()]
        else:
            rows.append((key, value))
    plain = [f"| {key} | {value} |" for key, value in rows if isinstance(value, str | int | float)]
    return [f"`{name}` says:", "", "| | |", "|---|---|", *plain, ""]


def _first_line(error: Exception) -> str:
    lines = str(error).strip().splitlines()
    return f"{type(error).__name__}: {lines[0][:160]}" if lines else type(error).__name__
