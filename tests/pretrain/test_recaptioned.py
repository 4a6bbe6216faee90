"""Captions of a file in place of a corpus' own."""

from pathlib import Path

import numpy as np
import pytest

from egorobot.errors import UserError
from egorobot.pretrain.corpora.recaptioned import Recaptioned
from egorobot.pretrain.samples import BadClip, ClipSample, ClipWords, Corpus, clip_name


class Seconds:
    """Clip n is second n of a video."""

    name = "seconds"
    group_size = 2
    variants = ("one", "other")

    def __len__(self) -> int:
        return 6

    def __getitem__(self, number: int) -> ClipSample:
        frames = np.full((2, 4, 4, 3), number, np.uint8)
        return ClipSample(self.clip_id(number), "v", frames, 1, *self.words(number))

    def clip_id(self, number: int) -> str:
        return clip_name("a/v", number, number + 1.5)

    def words(self, number: int) -> ClipWords:
        return ClipWords([f"narration {number}"], [f"own {number}"])

    def captions(self):
        return (text for number in range(len(self)) for text in [*self.words(number).narrations, f"own {number}"])

    def split(self, valid_share: float) -> tuple[range, range]:
        return range(4), range(4, 6)


@pytest.fixture
def captions(tmp_path: Path) -> Path:
    rows = ["a/v,1,2.5,new 1", "a/v,4.000,5.5,new 4", "a/v,4,5.5,newer 4", "other,1,2.5,of another video"]
    file = tmp_path / "captions.csv"
    file.write_text("\n".join(["video_id,start_second,end_second,text", *rows]) + "\n")
    return file


def test_clips_have_the_captions_of_the_file_and_nothing_else_changes(captions: Path, tmp_path: Path) -> None:
    own: Corpus = Seconds()
    corpus = Recaptioned(own, captions, tmp_path)
    assert len(corpus) == 6 and (corpus.name, corpus.group_size, corpus.variants) == ("seconds", 2, ("one", "other"))
    assert [corpus[i].hod for i in range(6)] == [[], ["new 1"], [], [], ["new 4", "newer 4"], []]
    for number in range(6):
        assert corpus.words(number) == (corpus[number].narrations, corpus[number].hod)
        assert corpus[number].narrations == own[number].narrations and corpus.clip_id(number) == own.clip_id(number)
        np.testing.assert_array_equal(corpus[number].frames_fast, own[number].frames_fast)
    assert corpus.split(0.3) == own.split(0.3)


def test_clips_that_cannot_be_read_have_no_captions(captions: Path, tmp_path: Path) -> None:
    class Damaged(Seconds):
        def words(self, number: int) -> ClipWords:
            if number == 3:
                raise BadClip("its JSON is cut off")
            return super().words(number)

    said = set(Recaptioned(Damaged(), captions, tmp_path).captions())
    assert "narration 2" in said and "narration 3" not in said and "new 4" in said


def test_clips_of_which_nothing_is_said_cannot_be_read(captions: Path, tmp_path: Path) -> None:
    class Silent(Seconds):
        def words(self, number: int) -> ClipWords:
            return ClipWords([], super().words(number).hod)

    corpus = Recaptioned(Silent(), captions, tmp_path)
    assert corpus[1].captions == corpus.words(1).hod == ["new 1"]
    for read in (corpus.__getitem__, corpus.words):
        with pytest.raises(BadClip, match=r"captions\.csv no caption of it"):
            read(0)


def test_the_vocabulary_knows_the_new_captions_and_not_the_old(captions: Path, tmp_path: Path) -> None:
    found = set(Recaptioned(Seconds(), captions, tmp_path).captions())
    assert {"new 1", "newer 4", "narration 3"} <= found and "own 1" not in found


def test_captions_of_other_clips_are_refused(tmp_path: Path) -> None:
    (tmp_path / "c.csv").write_text("video_id,start_second,end_second,text\nb,1,2.5,x\n")
    with pytest.raises(UserError, match=r"none of the clips of corpus seconds.*a/v/0\.000-1\.500"):
        Recaptioned(Seconds(), tmp_path / "c.csv", tmp_path)
