"""Convert a checkpoint of the official EgoVideo to an encoder folder.

    python -m egorobot.pretrain.convert egovideo_b.pt runs/egovideo_b
    python -m egorobot.pretrain.convert checkpoint=egovideo_b.pt out=runs/egovideo_b num_slow=16

The folder holds the same function of frames and captions, which `encoder=` takes; what became of each tensor of
the file is in its `convert.json`. Files with and without motion adapters, and of training with and without flash
attention, are taken.
"""

import hashlib
import math
import re
import sys
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import replace
from pathlib import Path

from omegaconf import DictConfig

from egorobot.cli import command, fail
from egorobot.errors import UserError
from egorobot.files import write_json
from egorobot.pretrain.model.folder import write_folder
from egorobot.pretrain.model.mapping import Report
from egorobot.pretrain.model.official import convert_official, read_checkpoint

RECORD_FILE = "convert.json"
POSITIONAL = ("checkpoint", "out")


def convert(
    checkpoint: str | Path, out: str | Path, num_slow: int | None = None, frame_rate: float | None = None
) -> Report:
    """Write the official checkpoint as an encoder folder, and return what became of its tensors.

    Args:
        checkpoint: the file.
        out: the folder; an earlier conversion in it is replaced.
        num_slow: frames of the low-rate stream; None is what the file was trained with.
        frame_rate: rate of the frames that the encoder is shown, in Hz; None is that of the sizes b and l,
            or of their low-rate stream alone for a file without adapters.

    Raises:
        UserError: the file cannot be read or is of another model, a number is out of its range, or `out` holds
            something else.
    """
    checkpoint, out = Path(checkpoint), Path(out)
    _check_folder(out)
    if num_slow is not None and (not isinstance(num_slow, int) or num_slow < 1):
        raise UserError(f"num_slow={num_slow}: it must be a whole number, 1 or more")
    if frame_rate is not None and (not isinstance(frame_rate, int | float) or not 0 < frame_rate < math.inf):
        raise UserError(f"frame_rate={frame_rate}: it must be a number above 0")
    try:
        converted = convert_official(read_checkpoint(checkpoint), num_slow)
    except UserError as error:
        raise UserError(f"{checkpoint}: {error}" if str(checkpoint) not in str(error) else str(error)) from error
    config = converted.config if frame_rate is None else replace(converted.config, frame_rate=float(frame_rate))
    report = converted.report
    record = {"checkpoint": checkpoint.name, "sha256": _sha256(checkpoint), "report": report.to_dict()}
    write_json(out / RECORD_FILE, record)
    write_folder(out, config, converted.weights)
    return report


def summary(report: Report) -> str:
    """Return what is printed: how many tensors were mapped, and all that was made or left, blocks together."""
    lines = [f"mapped: {len(report.mapped)} tensors of the file"]
    made = Counter((_any_block(name), how) for name, how in report.made.items())
    left = Counter((_any_block(name), why) for name, why in report.left.items())
    lines += [f"made: {name}{_times(count)} ({how})" for (name, how), count in made.items()]
    lines += [f"left: {name}{_times(count)} ({why})" for (name, why), count in left.items()]
    return "\n".join(lines)


def _any_block(name: str) -> str:
    return re.sub(r"\.\d+\.", ".*.", name)


def _times(count: int) -> str:
    return f", {count} tensors" if count > 1 else ""


def _check_folder(out: Path) -> None:
    """Raise UserError where `out` holds something else than an earlier conversion."""
    if out.exists() and not out.is_dir():
        raise UserError(f"{out} is not a folder: choose another out")
    if out.is_dir() and any(out.iterdir()) and not (out / RECORD_FILE).exists():
        raise UserError(f"{out} is not empty and holds no {RECORD_FILE}: choose another out")


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def named(arguments: Sequence[str], names: Iterable[str] = POSITIONAL) -> list[str]:
    """Return command-line arguments with `names` given to those that have none, in their order.

    Raises:
        UserError: there are more without a name than names.

    >>> named(["official.pt", "out", "num_slow=16"])
    ["checkpoint='official.pt'", "out='out'", 'num_slow=16']
    """
    free = iter([name for name in names if not any(a.startswith(f"{name}=") for a in arguments)])
    result = []
    for argument in arguments:
        if argument.startswith("-") or re.match(r"[+~]*[A-Za-z_][\w.@/]*=", argument):
            result.append(argument)
        elif name := next(free, None):
            quoted = argument.replace("'", r"\'")
            result.append(f"{name}='{quoted}'")
        else:
            raise UserError(f"'{argument}' is one argument too many: --help shows which there are")
    return result


@command("pretrain.convert")
def _run(config: DictConfig) -> None:
    report = convert(config.checkpoint, config.out, config.num_slow, config.frame_rate)
    print(summary(report))
    print(f"encoder: {config.out}")


def main() -> None:
    """Run `python -m egorobot.pretrain.convert`."""
    try:
        sys.argv[1:] = named(sys.argv[1:])
    except UserError as error:
        fail(error)
    _run()


if __name__ == "__main__":
    main()
