"""What is folded away below a row of the leaderboard's page: videos, runs, the command that repeats them."""

from collections.abc import Iterable, Sequence
from html import escape
from itertools import groupby
from urllib.parse import quote

from egorobot.leaderboard_commands import repeat_commands
from egorobot.leaderboard_rows import Result
from egorobot.leaderboard_videos import OUTCOMES, RowVideo
from egorobot.leaderboard_words import count_words, percent

VIDEOS = "videos"  # folder beside the page

MARKS = {True: "✓", False: "✗"}  # beside the words: colour is not all that tells outcomes apart


def fold(results: Sequence[Result], videos: Sequence[tuple[RowVideo, str]]) -> str:
    """Return what is folded away below a row, as HTML.

    Args:
        results: of the row's runs, sorted.
        videos: that stand beside the row, with their names in the folder of videos.
    """
    parts = [*([count_words(len(videos), "video")] if videos else []), count_words(len(results), "run"), "command"]
    figures = "".join(_figure(video, name) for video, name in videos)
    gallery = f'<div class="videos">{figures}</div>' if videos else ""
    commands = "\n".join(f"<pre><code>{escape(command)}</code></pre>" for command in repeat_commands(results))
    encoders = sorted({(str(r["encoder"]["fingerprint"]), r["encoder"]["dim"]) for r in results})
    encoder = "; ".join(f"<code>{escape(mark)}</code>, {dim} numbers an embedding" for mark, dim in encoders)
    return f"""<details><summary>{" · ".join(parts)}</summary>
{gallery}
{_runs_table(results)}
<p>Encoder {encoder}. To repeat:</p>
{commands}
</details>"""


def _figure(video: RowVideo, name: str) -> str:
    outcome = OUTCOMES[video.success]
    return (
        f'<figure><video src="{VIDEOS}/{quote(name)}" controls loop muted playsinline preload="none"></video>'
        f'<figcaption>{escape(video.task)} <b class="{outcome}">{MARKS[video.success]} {outcome}</b>'
        f"<small>training seed {video.training_seed}, episode {video.episode_seed}</small></figcaption></figure>"
    )


def _runs_table(results: Sequence[Result]) -> str:
    with_max = any(result["eval_max"] for result in results)
    headers = ["task", "training seed", "success rate", "checkpoint", "evaluation seeds"]
    headers += [*(["maximum over checkpoints"] if with_max else []), "render fingerprint"]
    lines = []
    for result in results:
        found, best = result["eval"], result["eval_max"]
        rate = f"{percent(found['success_rate'])} ({found['successes']}/{found['episodes']})"
        values = [result["task"], result["seed"], rate, found["checkpoint"], seed_words(found["episode_seeds"])]
        if with_max:
            values.append(f"{percent(best['success_rate'])} ({best['checkpoint']})" if best else "")
        values.append(result["render_fingerprint"])
        lines.append("<tr>" + "".join(f"<td>{escape(str(value))}</td>" for value in values) + "</tr>")
    head = "".join(f'<th scope="col">{header}</th>' for header in headers)
    return f'<div class="wide"><table><thead><tr>{head}</tr></thead><tbody>{"".join(lines)}</tbody></table></div>'


def seed_words(seeds: Iterable[int]) -> str:
    """Return seeds as people write them: ``100000 to 100049, 100060``."""
    # What a seed exceeds its rank by is the same all through a run of neighbours.
    ordered = enumerate(sorted(set(seeds)))
    spans = [[seed for _, seed in group] for _, group in groupby(ordered, lambda pair: pair[1] - pair[0])]
    return ", ".join(str(span[0]) if len(span) == 1 else f"{span[0]} to {span[-1]}" for span in spans)
