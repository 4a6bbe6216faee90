"""From a draft to its caption: asked for, checked, asked for again with the reason, or the template's."""

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from egorobot.files import digest
from egorobot.pretrain.hod.captioning import Draft
from egorobot.pretrain.hod.faithfulness import Fault
from egorobot.pretrain.hod.llm import ChatModel, NoAnswer
from egorobot.pretrain.hod.local_llm import LocalServer
from egorobot.pretrain.hod.prompts import FORM, NO_ANSWER, VERSION, make_request, read_answer
from egorobot.pretrain.hod.sentences import TEMPLATE

# Verdicts.
UNREADABLE = "unreadable"  # there is no draft either
NOTHING_SEEN = "nothing seen"
FAITHFUL = "faithful"
UNFAITHFUL = "unfaithful"
FALLBACK = "fallback"  # the template's caption, since the model gave no faithful one
KEPT = (FAITHFUL, FALLBACK)  # of captions that are fit for training


@dataclass(frozen=True)
class Attempt:
    """A caption that a model gave, and what is wrong with it."""

    caption: str
    faults: Sequence[Fault]


@dataclass(frozen=True)
class Captioned:
    """A draft with its caption.

    Attributes:
        draft: what was seen.
        caption: what is said of it; "" where nothing was seen.
        verdict: one of the constants of this module.
        rephraser: what wrote the caption.
        model: the language model that was asked, "" for none.
        prompt_version: of the words in which it was asked, "" for none.
        attempts: all that it gave, in order; the last one is the caption unless it is rejected.
        faults: what is wrong with the caption.
    """

    draft: Draft
    caption: str
    verdict: str
    rephraser: str
    model: str = ""
    prompt_version: str = ""
    attempts: Sequence[Attempt] = ()
    faults: Sequence[Fault] = field(default_factory=list)


Progress = Callable[[int], object]


def ignore(count: int) -> None:
    """Hear of progress, and do nothing."""


class Rephraser(Protocol):
    """Gives drafts their captions.

    Attributes:
        name: what it is called in options and records.
    """

    name: str

    def caption(self, drafts: Sequence[Draft], progress: Progress = ignore) -> list[Captioned]:
        """Return `drafts` with their captions, in their order; `progress` hears how many more have one."""

    def close(self) -> None:
        """Free what it holds."""


class TemplateRephraser:
    """Takes the template's captions, and asks no model."""

    name = TEMPLATE

    def caption(self, drafts: Sequence[Draft], progress: Progress = ignore) -> list[Captioned]:
        """Return `drafts` with the captions that they came with."""
        progress(len(drafts))
        return [from_template(draft) for draft in drafts]

    def close(self) -> None:
        """Do nothing."""


def from_template(draft: Draft, model: str = "", version: str = "", attempts: Sequence[Attempt] = ()) -> Captioned:
    """Return `draft` with the template's caption; a fallback if there were `attempts`."""
    faults = draft.faults(draft.template) if draft.template else []
    verdict = FALLBACK if attempts else FAITHFUL
    verdict = NOTHING_SEEN if not draft.template else UNFAITHFUL if faults else verdict
    return Captioned(draft, draft.template, verdict, TEMPLATE, model, version, attempts, faults)


class ModelRephraser:
    """Asks a language model, many clips at a time.

    Args:
        name: what it is called in records.
        model: the model; closed with this.
        prompt: how it is asked, `prompts.FULL` or `prompts.SHORT`.
        max_attempts: captions of a clip that are asked for before the template's is taken.
        temperature: of its sampling when a caption is asked for again; the first one is the
            likeliest that it has.
        seed: of its sampling.
        server: of the model, where it lives in this process; kept alive as long as this.
    """

    def __init__(
        self,
        name: str,
        model: ChatModel,
        prompt: str,
        max_attempts: int,
        temperature: float,
        seed: int,
        server: LocalServer | None = None,
    ) -> None:
        self.name = name
        self.model = model
        self.prompt = prompt
        self.version = f"{prompt}-{VERSION}"
        self.max_attempts = max_attempts
        self.temperature = temperature
        self.seed = seed
        self.server = server
        self._runner = asyncio.Runner()  # one loop for all, since connections belong to theirs
        self._checked = False

    def caption(self, drafts: Sequence[Draft], progress: Progress = ignore) -> list[Captioned]:
        """Return `drafts` with their captions, in their order; `progress` hears how many more have one.

        Raises:
            UserError: the endpoint refuses, or answers no longer.
        """
        return self._runner.run(self._caption_all(drafts, progress))

    def close(self) -> None:
        """Close the connections."""
        self._runner.run(self.model.close())
        self._runner.close()

    async def _caption_all(self, drafts: Sequence[Draft], progress: Progress) -> list[Captioned]:
        asked = [draft for draft in drafts if draft.template]
        if asked and not self._checked:
            await self.model.check(make_request(asked[0], self.prompt))
            self._checked = True
        try:
            async with asyncio.TaskGroup() as group:  # one that fails ends the others
                tasks = [group.create_task(self._caption(draft)) for draft in drafts]
                for task in tasks:
                    task.add_done_callback(lambda _: progress(1))
        except ExceptionGroup as errors:
            raise errors.exceptions[0] from errors
        return [task.result() for task in tasks]

    async def _caption(self, draft: Draft) -> Captioned:
        attempts: list[Attempt] = []
        while draft.template and len(attempts) < self.max_attempts:
            attempts.append(await self._attempt(draft, attempts))
            if not attempts[-1].faults:
                text = attempts[-1].caption
                return Captioned(draft, text, FAITHFUL, self.name, self.model.name, self.version, attempts)
        return from_template(draft, self.model.name, self.version, attempts)

    async def _attempt(self, draft: Draft, before: Sequence[Attempt]) -> Attempt:
        rejected = [(attempt.caption, attempt.faults) for attempt in before if attempt.caption]
        seed = int(digest(str(self.seed), draft.clip.clip_id, str(len(before))), 16) % 2**31
        temperature = self.temperature if before else 0.0
        try:
            answer = await self.model.ask(make_request(draft, self.prompt, rejected), seed, temperature)
        except NoAnswer as error:
            return Attempt("", [Fault(NO_ANSWER, str(error))])
        text = read_answer(answer)
        if not text:
            return Attempt("", [Fault(FORM, f"'{answer[:80]}' is no JSON object with a caption")])
        return Attempt(text, draft.faults(text))
