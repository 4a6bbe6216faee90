"""The `egorobot` program: lists the commands and runs them.

`egorobot collect task=slide` does what `python -m egorobot.collect task=slide` does.
"""

import ast
import difflib
import importlib
import importlib.util
import sys
from pathlib import Path

from egorobot import __version__
from egorobot.cli import fail
from egorobot.errors import UserError

# In the order in which they are used.
COMMANDS = (
    "pretrain", "pretrain.hod", "pretrain.probe", "pretrain.shards", "pretrain.convert", "collect",
    "import_dataset", "export_dataset", "train_bc", "evaluate", "render", "leaderboard", "robomimic", "doctor", "bench",
)  # fmt: skip


def main() -> None:
    """Run the command that the first argument names with the arguments after it."""
    if len(sys.argv) < 2 or sys.argv[1] in ("-h", "--help"):
        print(help_text())
    elif sys.argv[1] == "--version":
        print(f"egorobot {__version__}")
    elif sys.argv[1] in COMMANDS:
        name = sys.argv[1]
        sys.argv = [f"egorobot {name}", *sys.argv[2:]]
        importlib.import_module(_module_name(name)).main()
    else:
        close = difflib.get_close_matches(sys.argv[1], COMMANDS, n=1)
        mend = f"did you mean '{close[0]}'?" if close else "egorobot --help lists them"
        fail(UserError(f"unknown command '{sys.argv[1]}': {mend}"))


def help_text() -> str:
    """Return the list of commands, each with the first line of what its module says of itself."""
    lines = ["Usage: egorobot COMMAND [name=value ...]    (or: python -m egorobot.COMMAND)", ""]
    lines += [f"  {name:17} {_first_line(name)}" for name in COMMANDS]
    lines += ["", "egorobot COMMAND --help tells a command's options, with examples."]
    return "\n".join(lines)


def _module_name(command: str) -> str:
    """Return the module that holds a command's `main`: a package's is in its `__main__`."""
    spec = importlib.util.find_spec(f"egorobot.{command}")
    is_package = spec is not None and spec.submodule_search_locations is not None
    return f"egorobot.{command}.__main__" if is_package else f"egorobot.{command}"


def _first_line(command: str) -> str:
    # Read, not imported: importing the commands would import torch.
    spec = importlib.util.find_spec(_module_name(command))
    if spec is None or spec.origin is None:
        return ""
    docstring = ast.get_docstring(ast.parse(Path(spec.origin).read_text(encoding="utf-8")))
    return (docstring or "").split("\n")[0]


if __name__ == "__main__":
    main()
