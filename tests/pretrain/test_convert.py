"""Official checkpoints: what ours computes is held against a forward pass written here, on the file's own tensors."""

import json
import math
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from open_clip.tokenizer import SimpleTokenizer
from torch import Tensor

from egorobot.errors import UserError
from egorobot.pretrain.convert import convert, named, summary
from egorobot.pretrain.model import EgoVideo
from egorobot.pretrain.model.official import SHAPED_BY, convert_official

CAPTIONS = ["#C C opens the microwave", "the left hand turns the knob of the stove", "a " * 90]
MEAN = torch.tensor([0.48145466, 0.4578275, 0.40821073]).view(3, 1, 1)
STD = torch.tensor([0.26862954, 0.26130258, 0.27577711]).view(3, 1, 1)

State = dict[str, Tensor]


class Maker:
    """Random tensors of an official checkpoint, by name."""

    def __init__(self, seed: int = 0) -> None:
        self.generator = torch.Generator().manual_seed(seed)
        self.state: State = {}

    def draw(self, name: str, *shape: int, scale: float = 0.1, centre: float = 0.0) -> None:
        self.state[name] = centre + scale * torch.randn(*shape, generator=self.generator)

    def norm(self, name: str, width: int) -> None:
        self.draw(f"{name}.weight", width, centre=1)
        self.draw(f"{name}.bias", width)

    def linear(self, name: str, inputs: int, outputs: int, *kernel: int) -> None:
        self.draw(f"{name}.weight", outputs, inputs, *kernel, scale=inputs**-0.5)
        self.draw(f"{name}.bias", outputs)

    def blocks(self, tower: str, width: int, depth: int) -> None:
        for i in range(depth):
            block = f"{tower}.transformer.resblocks.{i}"
            self.norm(f"{block}.ln_1", width)
            self.norm(f"{block}.ln_2", width)
            self.draw(f"{block}.attn.in_proj_weight", 3 * width, width, scale=width**-0.5)
            self.draw(f"{block}.attn.in_proj_bias", 3 * width)
            self.linear(f"{block}.attn.out_proj", width, width)
            self.linear(f"{block}.mlp.c_fc", width, 4 * width)
            self.linear(f"{block}.mlp.c_proj", 4 * width, width)

    def adapter(self, name: str, width: int) -> None:
        hidden = width // 2
        self.linear(f"{name}.down_proj", width, hidden)
        self.linear(f"{name}.up_proj", hidden, width)
        self.linear(f"{name}.dwconv", 1, hidden, 3)
        self.linear(f"{name}.conv", hidden, hidden, 1)
        self.draw(f"{name}.conv2d.weight", 4, 4, 3, 3)
        self.draw(f"{name}.conv2d.bias", 4)
        self.draw(f"{name}.gamma", 1, centre=1)


def official_state(
    width: int = 64, depth: int = 2, patch: int = 8, side: int = 3, frames: int = 4, joint: int = 24,
    text_width: int = 64, text_depth: int = 2, adapters: bool = False,
) -> State:  # fmt: skip
    """A checkpoint of the official EgoVideo's layout with random weights."""
    make = Maker()
    make.draw("visual.class_embedding", width)
    make.draw("visual.positional_embedding", side**2 + 1, width)
    make.draw("visual.temporal_embedding", frames, width)
    make.draw("visual.conv1.weight", width, 3 * patch**2, scale=(3 * patch**2) ** -0.5)
    make.draw("visual.image_projection", width, joint, scale=width**-0.5)
    make.norm("visual.ln_pre", width)
    make.norm("visual.ln_post", width)
    make.blocks("visual", width, depth)
    make.draw("textual.positional_embedding", 77, text_width)
    make.draw("textual.token_embedding.weight", 49408, text_width)
    make.blocks("textual", text_width, text_depth)
    make.norm("textual.ln_final", text_width)
    make.draw("textual.text_projection", text_width, joint, scale=text_width**-0.5)
    make.state["logit_scale"] = torch.tensor(math.log(1 / 0.07))
    if adapters:
        for i in range(depth):
            make.adapter(f"visual.transformer.resblocks.{i}.adapter", width)
            make.adapter(f"visual.transformer.resblocks.{i}.adapter_2", width)
        make.draw("slowfast_projection", 2 * joint, joint, scale=joint**-0.5)
    return make.state


def spelled_for_flash(state: State) -> State:
    """The same checkpoint as training with flash attention and data-parallel saves it."""
    names = {".attn.in_proj_weight": ".attn.Wqkv.weight", ".attn.in_proj_bias": ".attn.Wqkv.bias",
             ".mlp.c_fc.": ".mlp.fc1.", ".mlp.c_proj.": ".mlp.fc2."}  # fmt: skip
    result = {}
    for name, tensor in state.items():
        for usual, flash in names.items():
            name = name.replace(usual, flash) if name.startswith("visual.") else name
        result[f"module.{name}"] = tensor
    return result


# The official forward pass, written down from its facts.


def norm(state: State, name: str, x: Tensor, eps: float) -> Tensor:
    return F.layer_norm(x, x.shape[-1:], state[f"{name}.weight"], state[f"{name}.bias"], eps)


def linear(state: State, name: str, x: Tensor) -> Tensor:
    return x @ state[f"{name}.weight"].T + state[f"{name}.bias"]


def attention(state: State, name: str, x: Tensor, causal: bool) -> Tensor:
    batch, length, width = x.shape
    joint = x @ state[f"{name}.in_proj_weight"].T + state[f"{name}.in_proj_bias"]
    q, k, v = joint.view(batch, length, 3, width // 64, 64).permute(2, 0, 3, 1, 4)  # (B, heads, L, 64) each
    scores = q @ k.transpose(2, 3) / 64**0.5
    if causal:
        scores = scores.masked_fill(torch.ones(length, length).triu(1).bool(), -math.inf)
    mixed = (scores.softmax(-1) @ v).transpose(1, 2).reshape(batch, length, width)
    return linear(state, f"{name}.out_proj", mixed)


def block(state: State, name: str, x: Tensor, eps: float, causal: bool) -> Tensor:
    x = x + attention(state, f"{name}.attn", norm(state, f"{name}.ln_1", x, eps), causal)
    hidden = linear(state, f"{name}.mlp.c_fc", norm(state, f"{name}.ln_2", x, eps))
    return x + linear(state, f"{name}.mlp.c_proj", F.gelu(hidden))


def adapted(state: State, name: str, x: Tensor, frames: int) -> Tensor:
    batch, _, width = x.shape
    patches = x[:, 1:]
    hidden = F.gelu(linear(state, f"{name}.down_proj", patches))
    lines = hidden.view(batch, frames, -1, width // 2).permute(0, 2, 3, 1).flatten(0, 1)  # (B*patches, C, T)
    lines = F.conv1d(lines, state[f"{name}.dwconv.weight"], state[f"{name}.dwconv.bias"], padding=1, groups=width // 2)
    lines = F.conv1d(lines, state[f"{name}.conv.weight"], state[f"{name}.conv.bias"])
    mixed = lines.view(batch, -1, width // 2, frames).permute(0, 3, 1, 2).reshape(hidden.shape)
    return torch.cat([x[:, :1], patches + state[f"{name}.gamma"] * linear(state, f"{name}.up_proj", hidden + mixed)], 1)


def reference_stream(state: State, frames: Tensor, adapters: bool = False) -> Tensor:
    """The class token's projection, (B, joint), of uint8 frames (B, T, H, W, 3)."""
    batch, time = frames.shape[:2]
    kernel = state["visual.conv1.weight"].flatten(1)
    width, patch = len(kernel), math.isqrt(kernel.shape[1] // 3)
    pixels = (frames.permute(0, 1, 4, 2, 3).flatten(0, 1) / 255 - MEAN) / STD
    x = (F.unfold(pixels, patch, stride=patch).transpose(1, 2) @ kernel.T).view(batch, time, -1, width)
    places, times = state["visual.positional_embedding"], state["visual.temporal_embedding"]
    if len(times) != time:
        times = F.interpolate(times[None, None], (time, width), mode="bilinear", align_corners=False)[0, 0]
    x = (x + places[1:] + times[:, None]).flatten(1, 2)
    first = (state["visual.class_embedding"] + places[0]).expand(batch, 1, width)
    x = norm(state, "visual.ln_pre", torch.cat([first, x], dim=1), 1e-6)
    for i in range(sum(name.endswith("ln_1.weight") and name.startswith("visual.") for name in state)):
        name = f"visual.transformer.resblocks.{i}"
        x = block(state, name, x, eps=1e-6, causal=False)
        x = adapted(state, f"{name}.adapter", x, time) if adapters else x
    return norm(state, "visual.ln_post", x[:, 0], 1e-6) @ state["visual.image_projection"]


def reference_video(state: State, slow: Tensor, fast: Tensor) -> Tensor:
    vector = reference_stream(state, slow)
    if "slowfast_projection" in state:
        both = torch.cat([vector, reference_stream(state, fast, adapters=True)], dim=1)
        vector = both @ state["slowfast_projection"]
    return F.normalize(vector, dim=1)


def reference_text(state: State, captions: list[str]) -> Tensor:
    tokens = SimpleTokenizer()(captions, context_length=77)
    x = state["textual.token_embedding.weight"][tokens] + state["textual.positional_embedding"]
    for i in range(sum(name.endswith("ln_1.weight") and name.startswith("textual.") for name in state)):
        x = block(state, f"textual.transformer.resblocks.{i}", x, eps=1e-5, causal=True)
    x = norm(state, "textual.ln_final", x, 1e-5)[torch.arange(len(tokens)), tokens.argmax(dim=1)]
    return F.normalize(x @ state["textual.text_projection"], dim=1)


def clip_pixels(frames: int, size: int, batch: int = 2, seed: int = 0) -> Tensor:
    """Coloured tiles, (B, T, size, size, 3): unlike noise, two of them differ in what a tower makes of them."""
    tiles = np.random.default_rng(seed).integers(0, 256, (batch, frames, 4, 4, 3), dtype=np.uint8)
    return torch.from_numpy(tiles.repeat(size // 4, axis=2).repeat(size // 4, axis=3))


def assert_same_function(state: State, model: EgoVideo) -> None:
    """Hold the model against the reference, and see that the reference tells its inputs apart."""
    size = model.config.image_size
    slow = clip_pixels(model.config.num_slow, size)
    fast = clip_pixels(model.config.num_frames, size, seed=1)
    with torch.inference_mode():
        expected = reference_video(state, slow, fast)
        torch.testing.assert_close(model.encode_video(slow, fast), expected, atol=1e-5, rtol=0)
        torch.testing.assert_close(model.encode_text(CAPTIONS), reference_text(state, CAPTIONS), atol=1e-5, rtol=0)
    assert (expected[0] - expected[1]).abs().max() > 1e-2


@pytest.fixture
def saved(tmp_path: Path) -> Path:
    torch.save({"state_dict": official_state(), "epoch": 3}, tmp_path / "official.pt")
    return tmp_path / "official.pt"


@pytest.mark.parametrize("adapters", [False, True])
@pytest.mark.parametrize("flash", [False, True])
def test_a_converted_model_is_the_same_function(adapters: bool, flash: bool, tmp_path: Path) -> None:
    state = official_state(adapters=adapters)
    torch.save({"state_dict": spelled_for_flash(state) if flash else state}, tmp_path / "official.pt")
    convert(tmp_path / "official.pt", tmp_path / "out")
    model = EgoVideo.from_pretrained(tmp_path / "out")
    assert (model.config.num_slow, model.config.num_frames) == ((4, 16) if adapters else (4, 4))
    assert (model.config.pooling, model.config.activation) == ("cls", "gelu")
    assert_same_function(state, model)


@pytest.mark.slow
def test_the_whole_of_b_is_the_same_function() -> None:
    state = official_state(768, 12, 16, 14, 4, 512, 512, 12)
    converted = convert_official(state)
    assert converted.config.size == "b"
    model = EgoVideo(converted.config).eval()
    model.load_state_dict(converted.weights)
    assert_same_function(state, model)


def test_a_temporal_embedding_of_sixteen_frames_is_met_in_both_streams() -> None:
    state = official_state(adapters=True, frames=16)
    converted = convert_official(state)
    model = EgoVideo(converted.config).eval()
    model.load_state_dict(converted.weights)
    assert_same_function(state, model)
    assert set(converted.report.mapped["visual.temporal_embedding"]) == {
        "vision.slow_embedding.temporal", "vision.fast_embedding.temporal",
    }  # fmt: skip


def test_more_frames_than_the_file_was_trained_with(saved: Path, tmp_path: Path) -> None:
    convert(saved, tmp_path / "out", num_slow=16, frame_rate=5)
    model = EgoVideo.from_pretrained(tmp_path / "out")
    assert (model.num_frames, model.frame_rate) == (16, 5.0)
    assert_same_function(official_state(), model)


def test_every_tensor_of_the_file_is_accounted_for(tmp_path: Path) -> None:
    state = spelled_for_flash(official_state(adapters=True)) | {"module.visual.extra": torch.zeros(2)}
    torch.save({"model": state, "args": [1]}, tmp_path / "official.pt")
    report = convert(tmp_path / "official.pt", tmp_path / "out")
    model = EgoVideo.from_pretrained(tmp_path / "out")
    assert report.mapped.keys() | report.left.keys() == state.keys()
    assert not report.mapped.keys() & report.left.keys()
    left = {"module.visual.extra": "not known"}
    for name in state:
        if ".conv2d." in name:
            left[name] = "allocated by the official code and never used"
        if ".adapter_2." in name:
            left[name] = "a second adapter, allocated by the official code and never used"
    assert report.left == left
    ours = {target for targets in report.mapped.values() for target in targets} | report.made.keys()
    assert ours == model.state_dict().keys()
    assert report.made["fusion.bias"].startswith("zeros")
    assert report.made["vision.fast_embedding.patches.weight"].startswith("copied from visual.conv1.weight")
    record = json.loads((tmp_path / "out" / "convert.json").read_text())
    assert record["report"] == report.to_dict() and len(record["sha256"]) == 64
    text = summary(report)
    assert "left: module.visual.transformer.resblocks.*.adapter.conv2d.weight, 2 tensors (allocated" in text
    assert f"mapped: {len(report.mapped)} tensors of the file" in text


@pytest.mark.parametrize("half", [torch.float16, torch.bfloat16])
def test_files_of_half_precision_become_float32(half: torch.dtype, tmp_path: Path) -> None:
    state = {name: tensor.to(half) for name, tensor in official_state().items()}
    converted = convert_official(state)
    assert {tensor.dtype for tensor in converted.weights.values()} == {torch.float32}
    assert convert_official({**state, "visual.conv1.weight": official_state()["visual.conv1.weight"]})


def test_a_patch_embedding_saved_as_a_convolution_is_the_same() -> None:
    state = official_state()
    flat = state["visual.conv1.weight"]
    other = convert_official({**state, "visual.conv1.weight": flat.view(len(flat), 3, 8, 8)})
    for name, tensor in convert_official(state).weights.items():
        assert torch.equal(tensor, other.weights[name])


@pytest.mark.parametrize(
    ("missing", "message"),
    [
        ("visual.class_embedding", "has no 'visual.class_embedding'$"),
        ("visual.ln_pre.bias", "has no 'visual.ln_pre.bias'$"),
        ("visual.transformer.resblocks.1.mlp.c_fc.bias", "has no 'visual.transformer.resblocks.1.mlp.c_fc.bias'$"),
        ("textual.", "has no 'textual.positional_embedding' and 3 more$"),
        ("", "has no 'visual.class_embedding' and 8 more$"),
    ],
)
def test_another_model_is_one_line_that_names_what_is_missing(missing: str, message: str, tmp_path: Path) -> None:
    state = {name: tensor for name, tensor in official_state().items() if not name.startswith(missing)}
    torch.save({"state_dict": {**state, "head.weight": torch.zeros(2)}}, tmp_path / "other.pt")
    with pytest.raises(UserError, match=message) as caught:
        convert(tmp_path / "other.pt", tmp_path / "out")
    assert "\n" not in str(caught.value) and "other.pt" in str(caught.value)
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"visual.ln_post.bias": torch.zeros(63)}, r"its visual\.ln_post\.bias \(63,\) does not fit"),
        ({"visual.ln_post.bias": torch.full((64,), math.nan)}, r"not finite in 'visual\.ln_post\.bias'"),
        ({"textual.token_embedding.weight": torch.zeros(100, 64)}, "vocabulary is not CLIP's"),
        ({"visual.positional_embedding": torch.zeros(12, 64)}, r"positional_embedding \(12, 64\) does not fit"),
    ],
)
def test_tensors_that_do_not_fit_are_one_line(change: State, message: str) -> None:
    with pytest.raises(UserError, match=message) as caught:
        convert_official({**official_state(), **change})
    assert "\n" not in str(caught.value)


def test_a_tensor_in_two_spellings_is_one_line() -> None:
    with pytest.raises(UserError, match="'logit_scale' in two spellings"):
        convert_official({**official_state(), "module.logit_scale": torch.zeros(())})


@pytest.mark.filterwarnings("ignore:Initializing zero-element")
@pytest.mark.parametrize("shape", [(), (0,), (7,), (2, 3), (64, 3, 0, 0)])
def test_no_shape_of_a_tensor_makes_more_than_one_line(shape: tuple[int, ...]) -> None:
    state = official_state()
    for name in [*SHAPED_BY, "visual.temporal_embedding", "visual.ln_pre.weight", "logit_scale"]:
        if torch.zeros(shape).numel() == state[name].numel():
            continue
        with pytest.raises(UserError, match="official EgoVideo") as caught:
            convert_official({**state, name: torch.zeros(shape)})
        assert "\n" not in str(caught.value)


class Code:
    """What must never be loaded: unpickling it would write a file."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[object, tuple[object, ...]]:
        return (Path.touch, (self.path,))


def test_files_that_hold_code_are_refused_in_one_line(tmp_path: Path) -> None:
    torch.save({"state_dict": official_state(), "args": Code(tmp_path / "ran")}, tmp_path / "code.pt")
    with pytest.raises(UserError, match="it holds code") as caught:
        convert(tmp_path / "code.pt", tmp_path / "out")
    assert "\n" not in str(caught.value)
    assert not (tmp_path / "ran").exists() and not (tmp_path / "out").exists()


@pytest.mark.parametrize("damage", ["missing", "cut", "empty", "text", "list"])
def test_files_that_cannot_be_read_are_one_line(damage: str, saved: Path, tmp_path: Path) -> None:
    content = saved.read_bytes()
    if damage == "missing":
        saved.unlink()
    elif damage == "list":
        torch.save([torch.zeros(2)], saved)
    else:
        saved.write_bytes({"cut": content[: len(content) // 2], "empty": b"", "text": b"weights\n" * 9}[damage])
    with pytest.raises(UserError, match=r"official\.pt") as caught:
        convert(saved, tmp_path / "out")
    assert "\n" not in str(caught.value)


def test_another_folder_is_left_alone_and_an_earlier_conversion_replaced(saved: Path, tmp_path: Path) -> None:
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "notes.txt").write_text("x")
    with pytest.raises(UserError, match=r"holds no convert\.json"):
        convert(saved, tmp_path / "mine")
    with pytest.raises(UserError, match="not a folder"):
        convert(saved, saved)
    convert(saved, tmp_path / "out")
    convert(saved, tmp_path / "out", num_slow=2)
    assert EgoVideo.from_pretrained(tmp_path / "out").num_frames == 2


def test_arguments_without_a_name_get_one() -> None:
    assert named(["a.pt", "out", "num_slow=2"]) == ["checkpoint='a.pt'", "out='out'", "num_slow=2"]
    assert named(["out=x", "it's a.pt"]) == ["out=x", r"checkpoint='it\'s a.pt'"]
    assert named(["--help"]) == ["--help"]
    assert named(["/data/x=1/a.pt", "./b=c"]) == ["checkpoint='/data/x=1/a.pt'", "out='./b=c'"]
    with pytest.raises(UserError, match="'c' is one argument too many"):
        named(["a", "b", "c"])


@pytest.mark.slow
def test_the_command_takes_two_paths(saved: Path, tmp_path: Path) -> None:
    def run(*arguments: str) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-m", "egorobot.pretrain.convert", *arguments]
        return subprocess.run(command, capture_output=True, text=True, check=False, cwd=tmp_path)

    done = run("official.pt", "an out")
    assert done.returncode == 0, done.stderr
    assert "mapped: " in done.stdout and done.stdout.endswith("encoder: an out\n")
    assert EgoVideo.from_pretrained(tmp_path / "an out").config.streams == "slow"
    done = run("nowhere.pt", "out")
    assert (done.returncode, done.stderr) == (2, "error: no checkpoint at nowhere.pt: check the path\n")


@pytest.mark.parametrize(
    "change", [{"num_slow": "many"}, {"num_slow": 0}, {"num_slow": 1.5}, {"frame_rate": -1.0}, {"frame_rate": math.nan}]
)
def test_numbers_out_of_their_range_are_one_line(change: dict[str, Any], saved: Path, tmp_path: Path) -> None:
    with pytest.raises(UserError, match=f"^{next(iter(change))}=.*it must be a"):
        convert(saved, tmp_path / "out", **change)
