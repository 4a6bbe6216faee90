"""Annotation files: spellings, captions, merging, and lines that make no sense."""

import pickle
from pathlib import Path

import numpy as np
import pytest

from egorobot.errors import UserError
from egorobot.pretrain.corpora import annotations
from egorobot.pretrain.corpora.clip_table import ClipTable, open_clip_table
from egorobot.pretrain.corpora.columns import TextColumn, write_texts
from egorobot.pretrain.corpora.splitting import split_by_video, video_hash

HEADER = "dataset,video_id,start_second,end_second,text\n"


def table(folder: Path, narrations: str | None = None, hod: str | None = None) -> ClipTable:
    files = []
    for name, content in (("narrations.csv", narrations), ("hod.csv", hod)):
        if content is not None:
            (folder / name).write_text(content, encoding="utf-8")
        files.append(None if content is None else folder / name)
    return open_clip_table(files[0], files[1], folder / "cache")


def test_egohods_columns(tmp_path: Path) -> None:
    clips = table(tmp_path, HEADER + 'ego4d,a,1.5,3,"C cuts, slowly"\nego4d,b,0,2.25,C pours\n')
    assert len(clips) == 2
    assert (clips[0].video_id, clips[0].dataset, clips[0].start, clips[0].end) == ("a", "ego4d", 1.5, 3.0)
    assert clips[0].narrations == ["C cuts, slowly"] and clips[0].hod == []
    assert clips[1].clip_id == "b/0.000-2.250"
    assert list(clips.captions()) == ["C cuts, slowly", "C pours"]


def test_egoclips_columns_and_tabs(tmp_path: Path) -> None:
    header = "video_uid\tvideo_dur\tnarration_source\tnarration_ind\tnarration_time\tclip_start\tclip_end\tclip_text\n"
    clips = table(tmp_path, header + "002ad105\t90\tnarration_pass_1\t0\t3.7\t3.3\t4.1\t#C C walks, then stops\n")
    clip = clips[0]
    assert (clip.video_id, clip.start, clip.end) == ("002ad105", 3.3, 4.1)
    assert clip.narrations == ["#C C walks, then stops"]


@pytest.mark.parametrize("spelling", ["caption", "narration"])
def test_other_names_of_text(tmp_path: Path, spelling: str) -> None:
    assert table(tmp_path, HEADER.replace("text", spelling) + "d,a,0,1,C cuts\n")[0].narrations == ["C cuts"]


def test_a_list_in_a_cell_is_several_captions(tmp_path: Path) -> None:
    cells = ['''"['C cuts', ""C's left hand moves"", ' ']"''', "[C] cuts [again]", '"[1, 2]"', "[C cuts"]
    rows = "".join(f"d,a,{i},{i + 1},{cell}\n" for i, cell in enumerate(cells))
    clips = table(tmp_path, HEADER + rows)
    assert [clips[i].narrations for i in range(4)] == [
        ["C cuts", "C's left hand moves"], ["[C] cuts [again]"], ["[1, 2]"], ["[C cuts"],
    ]  # fmt: skip


def test_both_files_make_one_clip(tmp_path: Path) -> None:
    """By video and times, to the millisecond; a caption that comes twice counts once."""
    narrations = HEADER + "d,a,1,2,C cuts\nd,a,4,5,C pours\nd,a,1.0,2.0,C slices\nd,a,1,2,C cuts\n"
    hod = HEADER + "d,b,1,2,elsewhere\nd,a,1.0001,2,The left hand cuts\n"
    clips = table(tmp_path, narrations, hod)
    assert [clips[i].clip_id for i in range(len(clips))] == ["a/1.000-2.000", "a/4.000-5.000", "b/1.000-2.000"]
    assert clips[0].narrations == ["C cuts", "C slices"] and clips[0].hod == ["The left hand cuts"]
    assert clips[2].narrations == [] and clips[2].hod == ["elsewhere"]
    assert len(list(clips.captions())) == 6


def test_a_uid_makes_one_clip_of_times_that_differ(tmp_path: Path) -> None:
    header = "uid," + HEADER
    clips = table(tmp_path, header + "u1,d,a,1,2,C cuts\n,d,a,7,8,C waits\n", header + "u1,d,a,1.2,2.1,The left hand\n")
    assert len(clips) == 2
    assert clips[0].clip_id == "a/1.000-2.000" and clips[0].hod == ["The left hand"]


@pytest.mark.parametrize("other", ["u1,d,a,5,6,C pours", "u1,d,b,1,2,C pours"])
def test_a_uid_of_two_clips_is_refused(tmp_path: Path, other: str) -> None:
    with pytest.raises(UserError, match=r"csv, row 3 and .*csv, row 2 have the same uid") as caught:
        table(tmp_path, f"uid,{HEADER}u1,d,a,1,2,C cuts\n{other}\n")
    assert "\n" not in str(caught.value)


def test_narration_beside_text_of_hand_object_dynamics(tmp_path: Path) -> None:
    header = HEADER.replace("text", "narration,text")
    clip = table(tmp_path, hod=header + "d,a,1,2,C cuts,The left hand holds\n")[0]
    assert clip.narrations == ["C cuts"] and clip.hod == ["The left hand holds"]


def test_names_that_look_like_numbers_stay_as_they_are(tmp_path: Path) -> None:
    clips = table(tmp_path, HEADER + "nan,007,0,1,C cuts\n,NA,0,1,null\n")
    assert (clips[0].video_id, clips[0].dataset) == ("007", "nan")
    assert clips[1].video_id == "NA" and clips[1].narrations == ["null"]


@pytest.mark.parametrize(
    ("row", "fault"),
    [
        ("d,a,,1,x", "has no start_second and end_second that are numbers"),
        ("d,a,nan,1,x", "has no start_second and end_second that are numbers"),
        ("d,a,0,soon,x", "has no start_second and end_second that are numbers"),
        ("d,a,0,1e300,x", "has no start_second and end_second that are numbers"),
        ("d,a,0,inf,x", "has no start_second and end_second that are numbers"),
        ("d,a,-0.1,1,x", "starts before second 0"),
        ("d,a,2,2,x", "ends before it begins"),
        ("d,a,2,1,x", "ends before it begins"),
        ("d,,0,1,x", "has no video_id"),
        ("d,a,0,1, ", "has no text"),
        ("d,a,0,1,[]", "has no text"),
        ("d,a,0,1,C cuts, slowly", "has not as many fields as the header (5)"),
        ("d,a,0,1", "has not as many fields as the header (5)"),
    ],
)
def test_bad_rows_are_named(tmp_path: Path, row: str, fault: str) -> None:
    good = 'd,a,0,1,x\nd,a,0,1,"two\nlines"\n\nd,a,0,1,x\n'  # three rows
    with pytest.raises(UserError) as caught:
        table(tmp_path, f"{HEADER}{good}{row}\n{good}")
    expected = f"{tmp_path / 'narrations.csv'}, row 5 (the header is row 1) {fault}: mend or remove it"
    assert str(caught.value) == expected
    assert not list(tmp_path.glob("cache/*/clips.json"))


def test_rows_are_counted_across_parts_of_a_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(annotations, "CHUNK_ROWS", 2)
    rows = [f"d,a,{i},{i + 1},x{i}\n" for i in range(7)]
    assert [table(tmp_path, HEADER + "".join(rows))[i].narrations for i in (0, 6)] == [["x0"], ["x6"]]
    rows[5] = "d,a,-5,6,x\n"
    with pytest.raises(UserError, match=r"row 7 .* starts before second 0"):
        table(tmp_path, HEADER + "".join(rows))


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("video_id,begin,text\na,0,x\n", r"has no column start_second, end_second: its columns are video_id, begin"),
        ("video_id,start_second,end_second\na,0,1\n", r"has no column text \(or narration\): its columns are video_id"),
        ("", "its columns are none"),
        (HEADER, "has no clips"),
        (HEADER + 'd,a,0,1,"C cuts" and pours\n', r"cannot be read as a table of text \(line 2: "),
        (HEADER + 'd,a,0,1,"never closed\n', r"cannot be read as a table of text \(line 2: "),
    ],
)
def test_files_that_are_no_annotations(tmp_path: Path, content: str, message: str) -> None:
    with pytest.raises(UserError, match=message) as caught:
        table(tmp_path, content)
    assert "\n" not in str(caught.value) and "narrations.csv" in str(caught.value)


def test_files_that_are_not_there(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"no annotation file .*nowhere\.csv"):
        open_clip_table(tmp_path / "nowhere.csv", None, tmp_path)
    with pytest.raises(UserError, match=r"needs narrations_csv=\.\.\. or hod_csv=\.\.\."):
        open_clip_table(None, None, tmp_path)


def test_a_file_is_read_once_and_again_when_it_changes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    content = HEADER + "d,a,0,1,x\n"
    first = table(tmp_path, content)
    monkeypatch.setattr(annotations, "CHUNK_ROWS", 0)  # reading would fail
    again = open_clip_table(tmp_path / "narrations.csv", None, tmp_path / "cache")
    assert again.folder == first.folder
    monkeypatch.undo()
    assert len(table(tmp_path, content + "d,b,0,1,y\n")) == 2


def test_other_processes_map_the_same_files(tmp_path: Path) -> None:
    clips = table(tmp_path, HEADER + "".join(f"d,v{i},0,1,caption {i}\n" for i in range(1000)))
    packed = pickle.dumps(clips)
    assert len(packed) < 1000
    assert pickle.loads(packed)[999] == clips[999]


def test_texts_of_any_script_come_back(tmp_path: Path) -> None:
    texts = ["", "C cuts", "Ä, ß, 包丁, 🔪", "", 'a "quoted"\nline']
    write_texts(tmp_path / "texts", iter(texts))
    column = TextColumn(tmp_path / "texts")
    assert [column[i] for i in range(len(column))] == texts
    write_texts(tmp_path / "none", [])
    assert len(TextColumn(tmp_path / "none")) == 0


def test_whole_videos_are_held_out_and_stay_so() -> None:
    names = [f"video {i}" for i in range(400)]
    hashes = np.array([video_hash(name) for name in names for _ in range(3)], np.uint64)
    training, held_out = split_by_video(hashes, 0.1, "x")
    assert sorted([*training, *held_out]) == list(range(1200))
    assert not {i // 3 for i in training} & {i // 3 for i in held_out}
    assert 20 <= len(held_out) / 3 <= 60
    few_training, few_held_out = split_by_video(hashes[:600], 0.1, "x")
    assert {*few_training} <= {*training} and {*few_held_out} <= {*held_out}


def test_neither_side_of_a_split_is_empty() -> None:
    hashes = np.array([video_hash("a")] * 2 + [video_hash("b")], np.uint64)
    for share in (1e-9, 0.5, 1 - 1e-9):
        training, held_out = split_by_video(hashes, share, "x")
        assert len(training) and len(held_out)
    with pytest.raises(UserError, match="corpus x has one video only"):
        split_by_video(hashes[:2], 0.5, "x")


def test_a_video_name_of_two_datasets_is_refused(tmp_path: Path) -> None:
    assert len(table(tmp_path, HEADER + "d,a,0,1,C cuts\n,a,2,3,C pours\n")) == 2
    with pytest.raises(UserError, match="has a video a of dataset e, and there is one of d: ") as caught:
        table(tmp_path, HEADER + "d,a,0,1,C cuts\ne,a,2,3,C pours\n")
    assert "\n" not in str(caught.value)
