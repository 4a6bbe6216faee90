"""The precision that a machine trains in by default is the one it has instructions for."""

import pytest
import torch

from egorobot.cli import load_config
from egorobot.pretrain.options import options_from
from egorobot.pretrain.precision import PRECISIONS, native_precision


@pytest.mark.parametrize(
    ("instructions", "precision"),
    [
        ({"avx2": True, "avx512_f": True, "avx512_bf16": False}, "float32"),
        ({"avx512_bf16": True}, "bfloat16"),
        ({"avx512_bf16": False, "amx_bf16": True}, "bfloat16"),
        ({}, "float32"),
    ],
)
def test_a_cpu_trains_in_bfloat16_where_it_has_instructions_for_it(
    instructions: dict[str, bool], precision: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: instructions, raising=False)
    assert native_precision() == precision
    assert options_from(load_config("pretrain", []))[0].precision == precision


def test_a_torch_that_does_not_tell_trains_in_float32(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.delattr(torch.cpu, "get_capabilities", raising=False)
    assert native_precision() == "float32"


@pytest.mark.parametrize(("native", "precision"), [(True, "bfloat16"), (False, "float32")])
def test_a_gpu_is_asked_itself(native: bool, precision: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "is_bf16_supported", lambda including_emulation: native)
    assert native_precision() == precision


def test_what_is_asked_for_is_what_is_taken() -> None:
    for precision in PRECISIONS:
        assert options_from(load_config("pretrain", [f"precision={precision}"]))[0].precision == precision
