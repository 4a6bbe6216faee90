"""Write captions of hand-object dynamics: which hand did what, which way and in which order.

    python -m egorobot.pretrain.hod clips=clips.csv video_root=videos
    python -m egorobot.pretrain.hod clips=clips.csv video_root=videos out=data/local objects=motion rephraser=local
    python -m egorobot.pretrain.hod clips=clips.csv video_root=videos out=data/llm rephraser=llm llm.base_url=URL
    python -m egorobot.pretrain.hod corpus=simulated_hands detector=simulator out=data/simulated

Finds hands in clips, follows them, tells what they do in a sentence, and checks each sentence against what was seen:
one of a language model that says anything else is asked for again with the reason, then replaced by the template's.
In out= are captions.csv and records/*.parquet with boxes, events, attempts and verdicts of all clips, which
corpus.captions= and corpus.tracks= take as they are; report.json; and preview/index.html to look at. A run that was
killed goes on from where it was.
"""

from functools import partial
from pathlib import Path
from typing import Any

from omegaconf import DictConfig, OmegaConf

from egorobot.cli import command
from egorobot.pretrain.hod.captioning import Drafter
from egorobot.pretrain.hod.job import CAPTIONS_FILE, RECORDS_FOLDER, Backend, HodJob
from egorobot.pretrain.hod.options import check_options, make_detector, make_rephraser, open_corpus
from egorobot.pretrain.hod.packages import need
from egorobot.pretrain.hod.preview import PAGE_FILE, PREVIEW_FOLDER
from egorobot.pretrain.hod.ray_stages import run_on_ray
from egorobot.pretrain.hod.stages import Seeing, Telling, run_here
from egorobot.processes import default_num_workers, quiet_libraries

# What does not decide what is written.
HOW = ("data_dir", "out", "max_bad_share", "backend", "num_workers", "num_rephrasers", "previews")
HOW_LLM = ("base_url", "api_key_env", "in_flight", "timeout", "max_retries")


@command("pretrain.hod")
def main(config: DictConfig) -> None:
    """Write what the options ask for, and print what became of the clips."""
    options: dict[str, Any] = OmegaConf.to_container(config, resolve=True)  # type: ignore[assignment]
    check_options(options)
    need("pyarrow")  # told before clips are looked at
    detector = make_detector(options)
    corpus = open_corpus(options)
    out = Path(options["out"])
    job = HodJob(
        seeing=Seeing(corpus, Drafter(detector, options["max_gap"]), options["clips_per_part"]),
        telling=Telling(partial(make_rephraser, options), out / RECORDS_FOLDER),
        out=out,
        max_bad_share=options["max_bad_share"],
        num_previews=options["previews"],
    )
    with quiet_libraries():
        report = job.run(decisive(options), make_backend(options))
    print("\n".join(report.lines()))
    print(out / CAPTIONS_FILE)
    if options["previews"]:
        print(out / PREVIEW_FOLDER / PAGE_FILE)


def decisive(options: dict[str, Any]) -> dict[str, Any]:
    """Return what decides what is written, of `options`."""
    kept = {key: value for key, value in options.items() if key not in HOW}
    llm = {key: value for key, value in options["llm"].items() if key not in HOW_LLM}
    return {**kept, "llm": llm if options["rephraser"] != "template" else None}


def make_backend(options: dict[str, Any]) -> Backend:
    """Return what does the work."""
    workers = options["num_workers"] or default_num_workers()
    if options["backend"] == "ray":
        return partial(run_on_ray, num_workers=workers, num_rephrasers=options["num_rephrasers"])
    return partial(run_here, num_workers=workers)


if __name__ == "__main__":
    main()
