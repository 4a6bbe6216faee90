"""A language model behind an OpenAI-compatible endpoint: vLLM, llama.cpp, Ollama, a vendor's."""

import asyncio
import os
from dataclasses import dataclass
from typing import Any

from egorobot.errors import UserError
from egorobot.pretrain.hod.packages import need
from egorobot.pretrain.hod.prompts import Request

NO_KEY = "none"  # sent where the environment has no key: servers of one's own ask for none
SILENT_CLIPS = 20  # in a row without an answer, after which the endpoint counts as gone
REFUSALS = (400, 413, 422)  # statuses that say of a request that it cannot be answered, now or later
JUNK = (ValueError, AttributeError, TypeError, LookupError, RecursionError)  # of the client, where a reply is no API's
MAX_REASON = 200  # characters of it that are kept

SMALLEST = Request(
    [{"role": "user", "content": "Answer with any short text as the caption."}],
    {"type": "object", "properties": {"caption": {"type": "string", "maxLength": 60}}, "required": ["caption"]},
)


class NoAnswer(Exception):
    """A request that failed for good; the message is the reason, in one line."""


class Refusal(NoAnswer):
    """A request that the server does not take, as one that is too long for the model; it may take others."""


@dataclass(frozen=True)
class Endpoint:
    """Where a model is, and how it is asked.

    Attributes:
        base_url: of the API, such as http://127.0.0.1:8080/v1.
        model: its name there; None is the first one listed.
        api_key_env: environment variable that holds the key, None without one. The key itself
            is in no record, option or message.
        in_flight: requests that wait for an answer at a time.
        timeout: for one request, in s.
        max_retries: of a request that failed for a reason that may pass: no connection,
            time-out, 408, 409, 429 or 5xx; with growing, jittered waits between them.
        max_tokens: of an answer.
    """

    base_url: str
    model: str | None
    api_key_env: str | None
    in_flight: int
    timeout: float
    max_retries: int
    max_tokens: int


class ChatModel:
    """Asks for captions, several at a time; use it within one event loop.

    Args:
        endpoint: where the model is.

    Raises:
        UserError: the client's package is missing.
    """

    def __init__(self, endpoint: Endpoint) -> None:
        self._openai = need("openai")
        self.endpoint = endpoint
        self.name = endpoint.model or ""
        self._constrained = True  # until the server says that it cannot
        self._slots = asyncio.Semaphore(endpoint.in_flight)
        self._silent = 0
        self._key = os.environ.get(endpoint.api_key_env or "")
        self._client = self._openai.AsyncOpenAI(
            base_url=endpoint.base_url,
            api_key=self._key or NO_KEY,
            timeout=endpoint.timeout,
            max_retries=endpoint.max_retries,
        )

    async def check(self, request: Request) -> None:
        """Find the model's name, and whether it answers a first `request`, or a small one if that is refused.

        Raises:
            UserError: the endpoint is not there, refuses the key, knows no such model or takes no request.
        """
        try:
            if not self.name:
                self.name = await self._first_model()
            try:
                await self.ask(request)
            except Refusal:  # one clip that is too long for the model decides nothing for the others
                await self.ask(SMALLEST)
        except Refusal as error:
            raise UserError(
                f"{self.endpoint.base_url} refuses even a small request ({error}): mend what it names, or choose "
                "another model with llm.model="
            ) from error
        except NoAnswer as error:
            raise self._gone(str(error)) from error

    async def ask(self, request: Request, seed: int = 0, temperature: float = 0.0) -> str:
        """Return what the model answers to `request`.

        Args:
            request: the conversation, and the schema that servers hold the answer to if they can.
            seed: of its sampling, where the server takes one.
            temperature: of its sampling; 0 is the likeliest answer.

        Raises:
            NoAnswer: there is none, whatever was tried; a `Refusal` where the server is well but takes no such request.
            UserError: the key or the model is refused, or the endpoint has been silent for
                `SILENT_CLIPS` requests in a row.
        """
        async with self._slots:
            try:
                answer = await self._send(request, seed, temperature)
            except (self._openai.OpenAIError, *JUNK) as error:
                raise self._failure(error) from error
        self._silent = 0
        return answer

    async def close(self) -> None:
        """Close the connections."""
        await self._client.close()

    async def _send(self, request: Request, seed: int, temperature: float) -> str:
        options: dict[str, Any] = {
            "model": self.name,
            "messages": list(request.messages),
            "seed": seed,
            "max_tokens": self.endpoint.max_tokens,
            "temperature": temperature,
        }
        if self._constrained:
            try:
                return _text(await self._client.chat.completions.create(**options, response_format=_format(request)))
            except (self._openai.BadRequestError, self._openai.UnprocessableEntityError):
                answer = _text(await self._client.chat.completions.create(**options))
                self._constrained = False  # it was the schema that it could not hold to
                return answer
        return _text(await self._client.chat.completions.create(**options))

    async def _first_model(self) -> str:
        """Return the name of the first model that the endpoint lists.

        Raises:
            NoAnswer: it does not answer.
            UserError: it lists none, or refuses the key.
        """
        where = self.endpoint.base_url
        try:
            names = [model.id async for model in self._client.models.list()]
        except self._openai.OpenAIError as error:
            raise self._failure(error) from error
        except JUNK as error:
            raise UserError(
                f"{where} answers, but not with a list of models: check llm.base_url, which mostly ends in /v1"
            ) from error
        if not names or not isinstance(names[0], str) or not names[0].isprintable():
            raise UserError(f"{where} lists no model: name one with llm.model=, or check llm.base_url")
        return names[0]

    def _failure(self, error: Exception) -> UserError | NoAnswer:
        """Return what a request that failed with `error` comes to; clips without an answer are counted."""
        if (mend := self._to_mend(error)) is not None:
            return mend
        reason = self._reason(error)
        if getattr(error, "status_code", None) in REFUSALS:
            self._silent = 0  # it is there, and says what it does not like
            return Refusal(reason)
        self._silent += 1
        return self._gone(reason) if self._silent >= SILENT_CLIPS else NoAnswer(reason)

    def _to_mend(self, error: Exception) -> UserError | None:
        """Return what a person has to mend, None where waiting or another request may do."""
        where, variable = self.endpoint.base_url, self.endpoint.api_key_env
        if isinstance(error, self._openai.AuthenticationError | self._openai.PermissionDeniedError):
            if variable is None:
                return UserError(f"{where} wants a key: name the environment variable that holds it, llm.api_key_env=")
            if not self._key:
                return UserError(
                    f"{where} wants a key, and the environment variable {variable} is not set: set it, or name "
                    "another with llm.api_key_env="
                )
            return UserError(f"{where} refuses the key in the environment variable {variable}")
        if isinstance(error, self._openai.NotFoundError):
            what = f"knows no model '{self.name}'" if self.name else "lists no models"
            return UserError(f"{where} {what}, or is no OpenAI-compatible API: check llm.model and llm.base_url")
        return None

    def _reason(self, error: Exception) -> str:
        """Return why a request failed, in one line; servers may repeat the key that they were sent."""
        reason = _escaped(" ".join(f"{type(error).__name__}: {error}".split()))
        return (reason.replace(self._key, "***") if self._key else reason)[:MAX_REASON]

    def _gone(self, reason: str) -> UserError:
        return UserError(
            f"no answer from {self.endpoint.base_url} ({reason}): is it running, and is llm.base_url right? What is "
            "finished is kept, and the same command goes on from it"
        )


def _format(request: Request) -> dict[str, Any]:
    return {"type": "json_schema", "json_schema": {"name": "caption", "strict": True, "schema": request.schema}}


def _text(completion: Any) -> str:
    """Return what a completion says, of parts those that are text.

    Raises:
        ValueError: it is none, as when it was cut off on its way.
    """
    try:
        content = completion.choices[0].message.content
        if isinstance(content, list):  # models that think put their thoughts into parts of other types
            content = "".join(part["text"] for part in content if part["type"] == "text")
    except (AttributeError, TypeError, LookupError) as error:
        raise ValueError("an answer that is no chat completion") from error
    if not isinstance(content, str | None):
        raise ValueError(f"an answer whose content is a {type(content).__name__}, not text")
    return _escaped(content or "")


def _escaped(text: str) -> str:
    """Return `text` with JSON's escapes in place of surrogates alone, which no file can hold."""
    return text.encode(errors="backslashreplace").decode()
