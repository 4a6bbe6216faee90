"""Encoders on the Hugging Face Hub: a small server on this machine stands in for it."""

import base64
import hashlib
import json
import threading
from collections.abc import Iterator
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from egorobot.errors import UserError
from egorobot.policies.registry import load_encoder
from egorobot.pretrain.model import SIZES, EgoVideo
from egorobot.pretrain.model.hub import is_repo_id, push
from egorobot.pretrain.model.text import vocabulary_of

COMMIT = "0123456789abcdef0123456789abcdef01234567"


class Hub(ThreadingHTTPServer):
    """As much of the Hub as pushing and fetching a few small files needs."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), HubHandler)
        self.files: dict[str, bytes] = {}
        self.posts: list[tuple[str, str]] = []
        self.gets: list[str] = []
        self.commits: list[dict[str, Any]] = []
        self.refuse = False

    @property
    def address(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}"


class HubHandler(BaseHTTPRequestHandler):
    server: Hub

    def log_message(self, *_: object) -> None:
        pass

    def reply(self, body: Any, status: int = 200, **headers: str) -> None:
        content = body if isinstance(body, bytes) else json.dumps(body).encode()
        self.send_response(status)
        for name, value in {"Content-Length": str(len(content)), **headers}.items():
            self.send_header(name.replace("_", "-"), value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(content)

    def do_POST(self) -> None:
        content = self.rfile.read(int(self.headers["Content-Length"]))
        self.server.posts.append((self.path, self.headers.get("Authorization", "")))
        if self.server.refuse:
            self.reply({"error": "Invalid username or password."}, status=401)
        elif self.path == "/api/repos/create":
            wanted = json.loads(content)
            self.reply({"url": f"{self.server.address}/{wanted['organization']}/{wanted['name']}"})
        elif self.path == "/api/validate-yaml":
            self.reply({"warnings": [], "errors": []})
        elif "/preupload/" in self.path:
            names = [file["path"] for file in json.loads(content)["files"]]
            self.reply({"files": [{"path": n, "uploadMode": "regular", "shouldIgnore": False} for n in names]})
        else:
            lines = [json.loads(line) for line in content.splitlines()]
            self.server.commits.append(lines[0]["value"])
            for line in lines[1:]:
                self.server.files[line["value"]["path"]] = base64.b64decode(line["value"]["content"])
            self.reply({"commitUrl": f"{self.server.address}/someone/mine/commit/{COMMIT}", "commitOid": COMMIT})

    def do_GET(self) -> None:
        self.server.gets.append(self.path)
        path, files = self.path.partition("?")[0], self.server.files
        if not path.startswith(("/api/models/someone/mine", "/someone/mine")):
            self.reply({"error": "Repository not found"}, status=404, X_Error_Code="RepoNotFound")
        elif "/revision/" in path and not path.endswith(("/main", COMMIT)):
            self.reply({"error": "Invalid rev id"}, status=404, X_Error_Code="RevisionNotFound")
        elif "/tree/" in path:
            sizes = {name: len(content) for name, content in files.items()}
            self.reply([{"type": "file", "path": n, "size": size, "oid": n} for n, size in sizes.items()])
        elif "/resolve/" in path:
            content = files[path.rpartition("/")[2]]
            etag = hashlib.sha1(content).hexdigest()
            self.reply(content, X_Repo_Commit=COMMIT, ETag=f'"{etag}"')
        else:
            self.reply({"id": "someone/mine", "sha": COMMIT, "siblings": [{"rfilename": name} for name in files]})

    do_HEAD = do_GET


@pytest.fixture
def hub(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Hub]:
    """The server, where huggingface_hub takes it for the Hub; its cache is empty."""
    server = Hub()
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", False)
    monkeypatch.setattr("huggingface_hub.constants.ENDPOINT", server.address)
    template = f"{server.address}/{{repo_id}}/resolve/{{revision}}/{{filename}}"
    monkeypatch.setattr("huggingface_hub.constants.HUGGINGFACE_CO_URL_TEMPLATE", template)
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr("huggingface_hub.constants.HF_TOKEN_PATH", str(tmp_path / "token"))
    monkeypatch.delenv("HF_TOKEN", raising=False)
    yield server
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture(scope="module")
def model() -> EgoVideo:
    small = replace(SIZES["nano"], width=32, depth=1, heads=2, text_width=16, text_depth=1, text_heads=2)
    return EgoVideo(replace(small, vocabulary=vocabulary_of(["#C C opens the microwave"])), seed=3).eval()


@pytest.fixture
def trained(model: EgoVideo, tmp_path: Path) -> Path:
    """A folder as training leaves it."""
    folder = tmp_path / "trained"
    model.save_pretrained(folder)
    record = {"options": {"steps": 500, "model": {}}, "result": {"five_way": 0.6}, "fingerprint": model.fingerprint}
    (folder / "pretrain.json").write_text(json.dumps(record))
    (folder / "checkpoint.pt").write_bytes(b"not for the Hub")
    return folder


def test_what_is_pushed_comes_back(hub: Hub, model: EgoVideo, trained: Path) -> None:
    address = model.push_to_hub("someone/mine", records=trained, token="hf_secret", commit_message="First")
    assert address == f"{hub.address}/someone/mine/commit/{COMMIT}"
    assert {token for _, token in hub.posts} == {"Bearer hf_secret"}
    assert set(hub.files) == {"config.json", "model.safetensors", "pretrain.json", "README.md"}
    assert hub.commits[0]["summary"] == "First"
    loaded = EgoVideo.from_pretrained("someone/mine")
    assert loaded.fingerprint == model.fingerprint and not loaded.training
    frames = np.random.default_rng(0).integers(0, 256, (2, 8, 112, 112, 3), dtype=np.uint8)
    np.testing.assert_array_equal(loaded.embed(frames), model.embed(frames))


def test_only_configuration_and_weights_are_fetched(hub: Hub, trained: Path, tmp_path: Path) -> None:
    push(trained, "someone/mine")
    hub.files["evil.py"] = b"raise SystemExit"
    EgoVideo.from_pretrained("someone/mine", cache_dir=tmp_path / "other")
    snapshot = tmp_path / "other" / "models--someone--mine" / "snapshots" / COMMIT
    assert {path.name for path in snapshot.iterdir()} == {"config.json", "model.safetensors"}


def test_the_card_says_what_it_is_and_how_it_was_made(hub: Hub, trained: Path) -> None:
    push(trained, "someone/mine")
    card = hub.files["README.md"].decode()
    assert card.startswith("---\nlibrary_name: egorobot\ntags:\n- egovideo\n")
    assert "\n# mine\n" in card
    assert 'egorobot.load_encoder("someone/mine")' in card
    assert "2 frames of 112 px and 8 frames of 48 px, 1 blocks of 32 channels" in card
    assert "| options.steps | 500 |\n| result.five_way | 0.6 |" in card


def test_the_card_of_a_converted_model_names_its_checkpoint(hub: Hub, model: EgoVideo, tmp_path: Path) -> None:
    report = {"mapped": {"visual.conv1.weight": []}, "notes": []}
    (tmp_path / "convert.json").write_text(json.dumps({"checkpoint": "b.pt", "sha256": "12ab", "report": report}))
    model.push_to_hub("someone/mine", records=tmp_path)
    assert "| checkpoint | b.pt |\n| sha256 | 12ab |" in hub.files["README.md"].decode()
    assert "conv1" not in hub.files["README.md"].decode()
    assert "convert.json" in hub.files


def test_a_card_of_ones_own_is_kept(hub: Hub, trained: Path) -> None:
    (trained / "README.md").write_text("# My own\n")
    push(trained, "someone/mine")
    assert hub.files["README.md"] == b"# My own\n"


def test_an_encoder_is_loaded_by_its_name_there(hub: Hub, model: EgoVideo, trained: Path) -> None:
    push(trained, "someone/mine")
    for name in ("someone/mine", "hf-hub:someone/mine"):
        encoder = load_encoder(name)
        assert (encoder.name, encoder.fingerprint) == (name, model.fingerprint)


def test_a_folder_goes_before_the_hub(
    hub: Hub, model: EgoVideo, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    model.save_pretrained("someone/mine")
    assert EgoVideo.from_pretrained("someone/mine").fingerprint == model.fingerprint
    assert load_encoder("someone/mine").fingerprint == model.fingerprint
    assert not any("someone" in path for path in hub.gets)


@pytest.mark.parametrize(
    ("name", "revision", "message"),
    [
        ("someone/other", None, r"^no folder someone/other, and someone/other cannot be had .*RepositoryNotFound"),
        ("someone/mine", "v9", r"someone/mine@v9 cannot be had .*RevisionNotFound"),
    ],
)
def test_what_is_not_there_is_one_line(hub: Hub, trained: Path, name: str, revision: str | None, message: str) -> None:
    push(trained, "someone/mine")
    with pytest.raises(UserError, match=message) as caught:
        EgoVideo.from_pretrained(name, revision=revision)
    assert "\n" not in str(caught.value)


def test_a_hub_that_refuses_is_one_line(hub: Hub, trained: Path) -> None:
    hub.refuse = True
    with pytest.raises(UserError, match=r"cannot push to someone/mine .*hf auth login") as caught:
        push(trained, "someone/mine")
    assert "\n" not in str(caught.value)
    assert hub.files == {}


def test_a_damaged_folder_is_not_pushed(hub: Hub, trained: Path) -> None:
    (trained / "model.safetensors").write_bytes(b"")
    with pytest.raises(UserError, match="is damaged"):
        push(trained, "someone/mine")
    assert hub.posts == []


def test_without_a_network_the_cache_serves_and_what_is_not_in_it_is_one_line(
    model: EgoVideo, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    snapshot = tmp_path / "models--someone--mine" / "snapshots" / COMMIT
    model.save_pretrained(snapshot)
    (tmp_path / "models--someone--mine" / "refs").mkdir()
    (tmp_path / "models--someone--mine" / "refs" / "main").write_text(COMMIT)
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path))
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    assert EgoVideo.from_pretrained("someone/mine").fingerprint == model.fingerprint
    assert EgoVideo.from_pretrained("someone/mine", revision=COMMIT).fingerprint == model.fingerprint
    with pytest.raises(UserError, match="connect to the internet once, or pass a folder") as caught:
        EgoVideo.from_pretrained("someone/other")
    assert "\n" not in str(caught.value)
    with pytest.raises(UserError, match="cannot get the weights of hf-hub:someone/other"):
        load_encoder("someone/other")


def test_which_names_are_of_the_hub() -> None:
    assert is_repo_id("some-one/egovideo_b.v2")
    for name in ("egovideo", "a/b/c", "./a", "../a", "/a/b", "a/", "", "a b/c", "~/a"):
        assert not is_repo_id(name), name
