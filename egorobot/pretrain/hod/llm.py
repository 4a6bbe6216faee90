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


class NoAnswer(Exception):
    """A request that failed for good; the message is the reason, in one line."""


@dataclass(frozen=True)
class Endpoint:
    """Where a model is, and how it is asked.

    Attributes:
        base_url: of the API, such as http://127.0.0.1:8080/v1.
        model: its name there; None is the first one listed.
        api_key_env: environment variable that holds the key. The key itself is in no
            record, option or message.
        in_flight: requests that wait for an answer at a time.
        timeout: for one request, in s.
        max_retries: of a request that failed for a reason that may pass: no connection,
            time-out, 408, 409, 429 or 5xx; with growing, jittered waits between them.
        max_tokens: of an answer.
    """

    base_url: str
    model: str | None
    api_key_env: str
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
        self._client = self._openai.AsyncOpenAI(
            base_url=endpoint.base_url,
            api_key=os.environ.get(endpoint.api_key_env) or NO_KEY,
            timeout=endpoint.timeout,
            max_retries=endpoint.max_retries,
        )

    async def check(self, request: Request) -> None:
        """Find the model's name, and whether it answers a first `request`.

        Raises:
            UserError: the endpoint is not there, refuses the key or knows no such model.
        """
        try:
            if not self.name:
                models = [model.id async for model in self._client.models.list()]
                if not models:
                    raise UserError(f"{self.endpoint.base_url} lists no model: name one with llm.model=")
                self.name = models[0]
            await self.ask(request)
        except NoAnswer as error:
            raise self._gone(str(error)) from error
        except (self._openai.OpenAIError, ValueError) as error:
            raise self._refused(error) or self._gone(_one_line(error)) from error

    async def ask(self, request: Request, seed: int = 0, temperature: float = 0.0) -> str:
        """Return what the model answers to `request`.

        Args:
            request: the conversation, and the schema that servers hold the answer to if they can.
            seed: of its sampling, where the server takes one.
            temperature: of its sampling; 0 is the likeliest answer.

        Raises:
            NoAnswer: there is none, whatever was tried.
            UserError: the key or the model is refused, or the endpoint has been silent for
                `SILENT_CLIPS` requests in a row.
        """
        async with self._slots:
            try:
                answer = await self._send(request, seed, temperature)
            except (self._openai.OpenAIError, ValueError) as error:  # ValueError: an answer that is cut off
                if (refused := self._refused(error)) is not None:
                    raise refused from error
                self._silent += 1
                if self._silent >= SILENT_CLIPS:
                    raise self._gone(_one_line(error)) from error
                raise NoAnswer(_one_line(error)) from error
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

    def _refused(self, error: Exception) -> UserError | None:
        """Return what a person has to mend, None where waiting may do."""
        where = self.endpoint.base_url
        if isinstance(error, self._openai.AuthenticationError | self._openai.PermissionDeniedError):
            return UserError(f"{where} refuses the key in the environment variable {self.endpoint.api_key_env}")
        if isinstance(error, self._openai.NotFoundError):
            return UserError(f"{where} knows no model '{self.name}', or is no OpenAI-compatible API: check llm.model")
        return None

    def _gone(self, reason: str) -> UserError:
        return UserError(
            f"no answer from {self.endpoint.base_url} ({reason}): is it running, and is llm.base_url right? What is "
            "finished is kept, and the same command goes on from it"
        )


def _format(request: Request) -> dict[str, Any]:
    return {"type": "json_schema", "json_schema": {"name": "caption", "strict": True, "schema": request.schema}}


def _text(completion: Any) -> str:
    """Return what a completion says.

    Raises:
        ValueError: it is none, as when it was cut off on its way.
    """
    choices = getattr(completion, "choices", None)
    if not choices:
        raise ValueError("an answer without choices")
    return choices[0].message.content or ""


def _one_line(error: Exception) -> str:
    return " ".join(f"{type(error).__name__}: {error}".split())[:200]
