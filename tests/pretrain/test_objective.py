"""The cached loss: micro-batches change nothing, and equal captions are no negatives."""

import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import pytest
import torch
from torch import Tensor, nn

from egorobot.pretrain import objective
from egorobot.pretrain.batches import Batch, TrainingBatches
from egorobot.pretrain.distributed import Ranks
from egorobot.pretrain.model import EgoVideo
from egorobot.pretrain.objective import Objective, caption_keys
from egorobot.torch_state import torch_threads


@pytest.fixture
def batch(batches: TrainingBatches) -> Batch:
    return batches[0]


def gradients(model: EgoVideo) -> dict[str, Tensor]:
    found = {name: p.grad.clone() for name, p in model.named_parameters() if p.grad is not None}
    model.zero_grad()
    return found


@pytest.mark.parametrize("box_weight", [0.0, 2.0])
@pytest.mark.parametrize(
    ("micro_batch", "threads"), [(None, 1), (1, 1), (3, 1), (4, 1), (100, 1), (None, 2), (None, 3), (None, 8)]
)
def test_gradients_are_those_of_the_plain_loss(
    tiny_model: EgoVideo,
    batch: Batch,
    micro_batch: int | None,
    threads: int,
    box_weight: float,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(objective, "MIN_PART", 1)
    model = tiny_model.double()
    expected_loss = model.loss(batch.frames_slow, batch.frames_fast, batch.captions)
    boxes = model(batch.frames_slow, batch.frames_fast, batch.captions, batch.boxes_slow).boxes
    assert 0 < (boxes > 0).sum() < len(batch)  # some clips have no boxes
    expected_loss = expected_loss + box_weight * boxes.mean()
    expected_loss.backward()
    expected = gradients(model)
    before = torch.get_num_threads()
    loss = Objective(Ranks(), micro_batch, box_weight=box_weight, threads=threads).backward(model, batch)
    assert torch.get_num_threads() == before
    assert abs(loss - expected_loss.detach()) < 1e-10
    found = gradients(model)
    assert found.keys() == expected.keys() and "log_scale" in found
    assert all((found[name] - expected[name]).abs().max() < 1e-10 for name in expected)


@pytest.mark.parametrize(("micro_batch", "threads", "within"), [(None, 2, 1), (None, 1, 2), (3, 2, 2)])
def test_torch_has_one_thread_where_parts_of_a_batch_have_one_each(
    batch: Batch, micro_batch: int | None, threads: int, within: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(objective, "MIN_PART", 1)
    with torch_threads(2):
        with Objective(Ranks(), micro_batch, threads=threads).step_threads(batch):
            assert torch.get_num_threads() == within
        assert torch.get_num_threads() == 2


@pytest.mark.parametrize("options", [{"micro_batch": 3}, {"threads": 2}])
def test_gradients_are_added_to_those_that_are_there(
    tiny_model: EgoVideo, batch: Batch, options: dict[str, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(objective, "MIN_PART", 1)
    model, twice_called = tiny_model.double(), Objective(Ranks(), **options)  # type: ignore[arg-type]
    twice_called.backward(model, batch)
    once = gradients(model)
    twice_called.backward(model, batch)
    twice_called.backward(model, batch)
    for name, twice in gradients(model).items():
        torch.testing.assert_close(twice, 2 * once[name])


def test_micro_batches_save_memory_for_the_backward_pass(tiny_model: EgoVideo, batch: Batch) -> None:
    """Fewer clips at a time, fewer bytes that autograd keeps."""
    held: dict[int | None, int] = {}
    weights = {parameter.data_ptr() for parameter in tiny_model.parameters()}  # kept however many clips there are
    for micro_batch in (None, 2):
        sizes: list[int] = []
        kept = torch.autograd.graph.saved_tensors_hooks(
            lambda t, sizes=sizes: (sizes.append(t.numel() * (t.data_ptr() not in weights)), t)[1],  # type: ignore[misc]
            lambda t: t,
        )
        with kept:
            Objective(Ranks(), micro_batch).backward(tiny_model, batch)
        held[micro_batch] = max(sizes)
    assert held[2] < 0.5 * held[None]


def test_bfloat16_gives_about_the_same_loss_and_float32_gradients(tiny_model: EgoVideo, batch: Batch) -> None:
    exact = Objective(Ranks()).backward(tiny_model, batch)
    gradients(tiny_model)
    loss = Objective(Ranks(), autocast=torch.bfloat16).backward(tiny_model, batch)
    assert loss.dtype == torch.float32 and loss != exact
    assert abs(loss - exact) < 0.1
    assert all(gradient.dtype == torch.float32 for gradient in gradients(tiny_model).values())


def test_gradients_in_bfloat16_do_not_depend_on_which_thread_is_first(
    tiny_model: EgoVideo, batch: Batch, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Weights that are used several times are rounded once, for both threads."""
    monkeypatch.setattr(objective, "MIN_PART", 1)
    here, late = threading.local(), [""]

    def begin(_: nn.Module, args: tuple[list[str]]) -> None:
        here.captions, here.calls = args[0], 0

    def wait(*_: object) -> None:
        here.calls += 1
        if here.calls == 2 and late[0] in here.captions:  # between two uses of the same weights
            time.sleep(0.3)

    tiny_model.text.register_forward_pre_hook(begin)
    tiny_model.text.transformer.register_forward_pre_hook(wait)
    found = []
    for late[0] in (batch.captions[0], batch.captions[-1]):
        Objective(Ranks(), autocast=torch.bfloat16, threads=2).backward(tiny_model, batch)
        found.append(gradients(tiny_model))
    assert all(torch.equal(found[0][name], found[1][name]) for name in found[0])


def test_threads_are_kept_from_step_to_step(
    tiny_model: EgoVideo, batch: Batch, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(objective, "MIN_PART", 1)
    seen: list[threading.Thread] = []
    tiny_model.text.register_forward_pre_hook(lambda *_: seen.append(threading.current_thread()))
    side_by_side = Objective(Ranks(), threads=2)
    for _ in range(3):
        side_by_side.backward(tiny_model, batch)
    assert len(seen) == 6 and len(set(seen)) == 2 and threading.current_thread() not in seen


def test_an_error_in_one_thread_ends_the_step(
    tiny_model: EgoVideo, batch: Batch, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(objective, "MIN_PART", 1)

    def fail(_: nn.Module, args: tuple[list[str]]) -> None:
        if batch.captions[-1] in args[0]:
            raise ValueError("no such caption")

    tiny_model.text.register_forward_pre_hook(fail)
    with pytest.raises(ValueError, match="no such caption"):
        Objective(Ranks(), autocast=torch.bfloat16, threads=2).backward(tiny_model, batch)


def test_jobs_end_before_an_error_is_told() -> None:
    with ThreadPoolExecutor(1) as pool:
        job = pool.submit(time.sleep, 0.2)
        with pytest.raises(KeyboardInterrupt), objective._ended([job]):
            raise KeyboardInterrupt
        assert job.done()


def test_gradients_lie_in_memory_as_their_weights_do(
    tiny_model: EgoVideo, batch: Batch, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(objective, "MIN_PART", 1)
    fusion = tiny_model.fusion
    assert fusion is not None
    # Autograd leaves the gradient of this product turned.
    monkeypatch.setattr(fusion, "forward", lambda x: x @ fusion.weight.T.contiguous() + fusion.bias)
    Objective(Ranks(), threads=2).backward(tiny_model, batch)
    assert all(p.grad is not None and p.grad.stride() == p.stride() for p in tiny_model.parameters())


INDEXING = """
import torch
from torch import nn

from egorobot.pretrain.batches import Batch
from egorobot.pretrain.distributed import Ranks
from egorobot.pretrain.model import Encoded
from egorobot.pretrain.objective import MIN_PART, Objective


class Indexing(nn.Module):
    def __init__(self):
        super().__init__()
        self.weights = nn.ParameterList(nn.Parameter(torch.ones(4, 4)) for _ in range(64))

    def forward(self, slow, fast, captions, boxes):
        video = fast.flatten(1)[:, :4].float()
        for weight in self.weights:  # Python's lock is held while one is indexed, and not for its view
            change = (video @ weight[0])[:, None] if captions[0] == "0" else video @ weight.view(4, 4)
            video = video + change * 0.001
        return Encoded(video, video, video.new_ones(1), video.new_zeros(len(video)))


size = 2 * MIN_PART
captions = [str(i) for i in range(size)]
frames = torch.ones(size, 1, 8, 8, 3, dtype=torch.uint8)
batch = Batch(frames, 1, captions, captions, torch.arange(size), torch.zeros(size, 1, 3, 4))
model = Indexing()
for _ in range(200):
    Objective(Ranks(), threads=2).backward(model, batch)
"""


def test_threads_that_index_weights_do_not_wait_for_each_other_for_ever() -> None:
    # A process of its own: no other thread could tell if Python's lock were never given back.
    subprocess.run([sys.executable, "-c", INDEXING], check=True, timeout=120)


def test_more_threads_than_parts_wait_for_none(
    tiny_model: EgoVideo, batch: Batch, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Parts of equal size, the last smaller, can be fewer than the threads that there are."""
    monkeypatch.setattr(objective, "MIN_PART", 1)
    threads = len(batch) - 1
    assert len(list(batch.split(-(-len(batch) // threads)))) < threads
    whole = Objective(Ranks()).backward(tiny_model, batch)
    torch.testing.assert_close(Objective(Ranks(), threads=threads).backward(tiny_model, batch), whole)


def test_clips_with_the_same_caption_are_no_negatives(tiny_model: EgoVideo, batch: Batch) -> None:
    same = replace(batch, captions=["#C C opens the door"] * len(batch))
    assert Objective(Ranks(), 3).backward(tiny_model, same) == 0


def test_keys_tell_captions_apart_and_are_the_same_everywhere() -> None:
    captions = [f"caption {i}" for i in range(1000)]
    keys = caption_keys([*captions, *captions])
    assert keys.dtype == torch.int64 and len(set(keys.tolist())) == 1000
    assert keys[:1000].equal(keys[1000:])
    assert caption_keys(["opens"]).item() == 4512888822012301939
