"""ragedu's parts in LangChain's chains, and LangChain's parts in ragedu's RAG.

    chain = RageduRetriever(retriever=BM25Retriever().fit(corpus)) | … | ChatRagedu(language_model=LanguageModel.load())
    rag = RAG(LangChainRetriever(their_retriever), LangChainGenerator(their_chat_model))

It needs `langchain-core` only. LangChain can send every question, source and answer to a service, LangSmith, and an
environment variable is enough to begin that. Importing this module turns it off, whatever the environment says; who
wants it says so in the program, after the import, with langsmith.configure(enabled=True).
"""

from __future__ import annotations

import hashlib
import inspect
import warnings
from collections.abc import Iterable, Iterator, Sequence
from itertools import groupby
from operator import itemgetter
from typing import TYPE_CHECKING, Any

try:
    import langsmith
    from langchain_core.callbacks import CallbackManagerForLLMRun, CallbackManagerForRetrieverRun
    from langchain_core.documents import Document as LangChainDocument
    from langchain_core.language_models import BaseChatModel
    from langchain_core.messages import (
        AIMessage,
        AIMessageChunk,
        BaseMessage,
        HumanMessage,
        SystemMessage,
    )
    from langchain_core.messages.ai import UsageMetadata
    from langchain_core.output_parsers import StrOutputParser
    from langchain_core.outputs import ChatGeneration, ChatGenerationChunk, ChatResult
    from langchain_core.retrievers import BaseRetriever
    from langchain_core.runnables import Runnable
    from langsmith.utils import tracing_is_enabled
    from pydantic import Field, field_validator, model_validator
except ModuleNotFoundError as error:
    if (error.name or "").split(".")[0] not in ("langchain_core", "langsmith", "pydantic"):
        raise
    raise ImportError('this needs langchain-core: run  pip install "ragedu[langchain]"') from None

from ragedu.corpus import Corpus, Document, check_text
from ragedu.retrieval.base import Hit, Hits, check_k, check_queries, check_query

if TYPE_CHECKING:  # a chain with a retriever alone should not wait for torch
    from ragedu.generation.growing import GrowingText
    from ragedu.generation.language_model import LanguageModel

if tracing_is_enabled():
    warnings.warn(
        "LangSmith's tracing was on, which sends every question, source and answer to its server: ragedu.langchain "
        "has turned it off. To have it, call langsmith.configure(enabled=True) after this import",
        stacklevel=2,
    )
langsmith.configure(enabled=False)

ROLES = {SystemMessage: "system", HumanMessage: "user", AIMessage: "assistant"}
FOR_HOSTED_MODELS = {"timeout", "max_retries", "api_key", "base_url", "streaming"}  # accepted; nothing here needs them


# Documents.


def to_langchain(document: Document, *, score: float | None = None) -> LangChainDocument:
    """The document as LangChain has it: text, id and metadata, with the title and the score among the metadata.

    Raises ValueError where the metadata have a title or a score of their own, which would be lost on the way back.
    """
    ours: dict[str, str | float] = {"title": document.title} if document.title else {}
    if score is not None:
        ours["score"] = float(score)
    taken = sorted({"title", "score"} & document.metadata.keys())
    if taken:
        raise ValueError(
            f"the metadata of document {document.id!r} have a {taken[0]!r} of their own, and LangChain's document has "
            "one place for both: rename it before you index"
        )
    return LangChainDocument(page_content=document.text, id=document.id, metadata={**document.metadata, **ours})


def from_langchain(document: LangChainDocument) -> Document:
    """What `to_langchain` made of a document, back; or any document of LangChain's.

    One without an id, which LangChain allows, gets a digest of its text for one. A score among its metadata is
    omitted, and a title becomes the document's.
    """
    if not isinstance(document, LangChainDocument):
        raise TypeError(f"a LangChain retriever returns LangChain's documents, not a {type(document).__name__}")
    metadata = dict(document.metadata)
    title = metadata.pop("title", None) or ""
    metadata.pop("score", None)
    id = document.id or hashlib.sha256(document.page_content.encode("utf-8", "replace")).hexdigest()[:16]
    return Document(id, document.page_content, str(title), metadata=metadata)


# From ragedu to LangChain.


class RageduRetriever(BaseRetriever):
    """Any retriever of ragedu as one of LangChain's.

    retriever: a retriever that has been fitted; k: how many documents it returns, which a call may change,
    `invoke(question, k=5)`. A document's score is in its metadata.
    """

    retriever: Any
    k: int = Field(default=3, ge=1)

    @field_validator("retriever")
    @classmethod
    def _check_retriever(cls, retriever: Any) -> Any:
        if not callable(getattr(retriever, "search", None)):
            raise TypeError(
                f"retriever must be one of ragedu's, such as BM25Retriever, not a {type(retriever).__name__}"
            )
        return retriever

    def _get_relevant_documents(
        self, query: str, *, run_manager: CallbackManagerForRetrieverRun, k: int | None = None
    ) -> list[LangChainDocument]:
        hits = self.retriever.search(query, self.k if k is None else k)
        return [to_langchain(hit.document, score=hit.score) for hit in hits]


class ChatRagedu(BaseChatModel):
    """A LanguageModel as one of LangChain's chat models: invoke, stream, batch, and their async twins.

    language_model: a LanguageModel. max_tokens, temperature, top_p, top_k, seed and stop are those of its `generate`
    (max_tokens being max_new_tokens), and a call may change them, `invoke(messages, max_tokens=20)`.

    One question is asked exactly as LanguageModel asks it. A conversation goes through the model's chat template;
    control tokens written out in it are taken apart by a space, so that no text can begin a message of its own.

    `usage_metadata` counts the tokens that were read and written, the end token included; `finish_reason` is "length"
    where max_tokens cut the text off. LangChain's cache is off unless you give one: it tells models apart by
    their settings, and would take two adapters of one model for the same.

    Raises ValueError for what the model can't take: pictures, tools, a conversation that doesn't end with a question,
    more tokens than its context; TypeError for an option that it doesn't have.
    """

    language_model: Any
    max_tokens: int = Field(default=64, ge=1)
    temperature: float = Field(default=0.0, ge=0, allow_inf_nan=False)
    top_p: float | None = Field(default=None, gt=0, le=1)
    top_k: int | None = Field(default=None, ge=1)
    seed: int | None = Field(default=None, ge=0)
    stop: list[str] | None = None
    cache: Any = False

    @model_validator(mode="before")
    @classmethod
    def _check_names(cls, options: Any) -> Any:
        unknown = options.keys() - cls.model_fields.keys() - FOR_HOSTED_MODELS if isinstance(options, dict) else ()
        if unknown:
            raise TypeError(f"ChatRagedu has no option {sorted(unknown)[0]!r}; it has {', '.join(cls._options())}")
        return options

    @field_validator("language_model")
    @classmethod
    def _check_model(cls, model: Any) -> Any:
        from ragedu.generation.language_model import LanguageModel

        if not isinstance(model, LanguageModel):
            raise TypeError(f"language_model must be a LanguageModel, not a {type(model).__name__}")
        return model

    @classmethod
    def _options(cls) -> list[str]:
        return ["max_tokens", "temperature", "top_p", "top_k", "seed", "stop"]

    # What LangChain asks of a chat model.

    @property
    def _llm_type(self) -> str:
        return "ragedu"

    @property
    def model_name(self) -> str:
        return self.language_model.name or "unnamed"

    @property
    def _identifying_params(self) -> dict[str, Any]:
        return {"model_name": self.model_name, **{name: getattr(self, name) for name in self._options()}}

    def get_token_ids(self, text: str) -> list[int]:
        """The model's own tokens. (LangChain's default would fetch the tokenizer of GPT-2 from the network.)"""
        return self.language_model.encode_plain(check_text(text, "a text"))

    def get_num_tokens_from_messages(self, messages: list[BaseMessage], tools: Sequence[Any] | None = None) -> int:
        """How many tokens a conversation is for the model, the chat template's included.

        `trim_messages` asks this of parts of a conversation, also in reverse, which no model is ever asked. So the
        system message counts as the first, and what the template refuses counts message by message.
        """
        if tools:
            raise ValueError("ChatRagedu takes no tools: leave them out")
        return count_tokens(messages, self.language_model)

    def _generate(
        self,
        messages: list[BaseMessage],
        stop: list[str] | None = None,
        run_manager: CallbackManagerForLLMRun | None = None,
        **options: Any,
    ) -> ChatResult:
        *_, text = self._steps(messages, stop, options)
        message = AIMessage(content=text.text, usage_metadata=usage(text), response_metadata=self._told(text))
        return ChatResult(generations=[ChatGeneration(message=message)])

    def _stream(
        self,
        messages: list[BaseMessage],
        stop: list[str] | None = None,
        run_manager: CallbackManagerForLLMRun | None = None,
        **options: Any,
    ) -> Iterator[ChatGenerationChunk]:
        shown = 0
        for text in self._steps(messages, stop, options):
            settled = text.settled
            if len(settled) > shown:
                yield ChatGenerationChunk(message=AIMessageChunk(content=settled[shown:]))
                shown = len(settled)
        last = AIMessageChunk(
            content="", usage_metadata=usage(text), response_metadata=self._told(text), chunk_position="last"
        )
        yield ChatGenerationChunk(message=last)

    def _steps(
        self, messages: list[BaseMessage], stop: list[str] | None, options: dict[str, Any]
    ) -> Iterator[GrowingText]:
        """The answer, a token more at each step, with the options of this model or of this call."""
        options.pop("stream", None)  # how LangChain itself says that it wants a stream
        unknown = options.keys() - set(self._options())
        if unknown:
            raise TypeError(
                f"ChatRagedu takes no {sorted(unknown)[0]!r} in a call; it takes {', '.join(self._options())}"
            )
        chosen = {name: options.get(name, getattr(self, name)) for name in self._options()}
        if stop is not None:
            chosen["stop"] = stop
        conversation = as_prompt(messages, self.language_model)
        return self.language_model.steps(max_new_tokens=chosen.pop("max_tokens"), **chosen, **conversation)

    def _told(self, text: GrowingText) -> dict[str, Any]:
        finish_reason = "length" if text.ended == "max_new_tokens" else "stop"
        return {"model_name": self.model_name, "finish_reason": finish_reason}


def usage(text: GrowingText) -> UsageMetadata:
    read, written = len(text.prompt_tokens), len(text.tokens)
    return UsageMetadata(input_tokens=read, output_tokens=written, total_tokens=read + written)


def as_prompt(messages: Sequence[BaseMessage], model: LanguageModel) -> dict[str, Any]:
    """A conversation as LanguageModel reads it: prompt, whether that goes into the chat template, system message.

    Neighbours of the same role become one message, since many templates insist that roles alternate.
    """
    conversation = as_conversation(messages)
    roles = [turn["role"] for turn in conversation]
    if not roles or roles[-1] != "user":
        raise ValueError("a conversation must end with a HumanMessage, which the model then answers")
    if roles in (["user"], ["system", "user"]):
        system = conversation[0]["content"] if len(roles) == 2 else None
        return {"prompt": conversation[-1]["content"], "chat": None, "system": system}
    if not model.tokenizer.chat_template:
        raise ValueError(f"the model {model.name!r} has no chat template: give it one HumanMessage and nothing else")
    return {"prompt": rendered(conversation, model), "chat": False, "system": None}


def as_conversation(messages: Iterable[BaseMessage]) -> list[dict[str, str]]:
    """The turns, {"role": …, "content": …}."""
    return [
        {"role": role, "content": "\n\n".join(turn["content"] for turn in turns if turn["content"])}
        for role, turns in groupby(map(as_turn, messages), itemgetter("role"))
    ]


def rendered(conversation: Sequence[dict[str, str]], model: LanguageModel) -> str:
    """The turns in the model's chat template, with control tokens that they hold taken apart."""
    turns = [dict(turn) for turn in conversation]
    for turn in turns:
        for token in model.control_tokens:
            if len(token) > 1:
                turn["content"] = turn["content"].replace(token, f"{token[0]} {token[1:]}")
    return model.tokenizer.apply_chat_template(turns, tokenize=False, add_generation_prompt=True)


def count_tokens(messages: Sequence[BaseMessage], model: LanguageModel) -> int:
    """The tokens of any messages, whether or not they are a conversation that a model could be asked."""
    # System messages first; the others keep their order.
    ordered = sorted(messages, key=lambda message: not isinstance(message, SystemMessage))
    if not ordered:
        return 0
    conversation = as_conversation(ordered)
    try:
        if conversation[-1]["role"] == "user":
            return len(model.encode(**as_prompt(ordered, model)))
        return len(model.encode(rendered(conversation, model), chat=False))
    except Exception:  # no template, or one that insists on roles that alternate, with an error of its own
        return sum(len(model.encode(turn["content"])) for turn in conversation)


def as_turn(message: BaseMessage) -> dict[str, str]:
    role = next((role for kind, role in ROLES.items() if isinstance(message, kind)), None)
    if role is None or getattr(message, "tool_calls", None):
        raise ValueError(f"ChatRagedu takes system, human and AI messages without tools, not a {message.type} message")
    blocks = [] if isinstance(message.content, str) else message.content
    other = [block.get("type") for block in blocks if isinstance(block, dict) and block.get("type") != "text"]
    if other:
        raise ValueError(f"ChatRagedu reads text, and this message has a block of the kind {other[0]!r}: leave it out")
    return {"role": role, "content": str(message.text)}


# From LangChain to ragedu.


class LangChainRetriever:
    """Any retriever of LangChain's where ragedu takes one.

    retriever: one of LangChain's; corpus: the documents that it was filled with, told apart by their ids. `evaluate`
    and HybridRetriever need to know it, RAG doesn't.

    LangChain's interface has neither a number of documents nor scores. A retriever that takes a `k` in the call gets
    it; others return as many as they were set to, of which the first k are kept. A score is what `to_langchain` put
    into the metadata; otherwise it is 1 / rank, which says no more than the order.
    """

    def __init__(self, retriever: Runnable, *, corpus: Corpus | None = None) -> None:
        if not isinstance(retriever, Runnable):
            raise TypeError(f"retriever must be one of LangChain's, not a {type(retriever).__name__}")
        self.retriever, self.corpus = retriever, corpus
        parameters = inspect.signature(getattr(retriever, "_get_relevant_documents", lambda: None)).parameters
        self._takes_k = "k" in parameters or any(p.kind is p.VAR_KEYWORD for p in parameters.values())

    def fit(self, corpus: Corpus) -> None:
        raise TypeError(
            "a LangChain retriever has an index of its own: fill that, leave out fit, and for an evaluation say with "
            "LangChainRetriever(retriever, corpus=corpus) what is in it"
        )

    def search(self, query: str, k: int = 10) -> Hits:
        """The first k documents for the query. Raises ValueError for a blank query."""
        return self.search_many([check_query(query)], k)[0]

    def search_many(self, queries: Sequence[str], k: int = 10) -> list[Hits]:
        """The first k documents for each query; none for a blank one. LangChain asks for several at the same time."""
        queries, k = check_queries(queries), check_k(k)
        asked = [*dict.fromkeys(query for query in queries if query.strip())]
        options: dict[str, Any] = {"k": k} if self._takes_k else {}
        found = dict(zip(asked, self.retriever.batch(asked, **options), strict=True))
        return [self._hits(found[query][:k]) if query in found else Hits() for query in queries]

    def _hits(self, documents: Sequence[LangChainDocument]) -> Hits:
        ours = [from_langchain(document) for document in documents]
        if self.corpus is not None:
            ours = [self.corpus[document.id] for document in ours]
        ranks = range(1, len(documents) + 1)
        scores = scores_of(documents) or [1 / rank for rank in ranks]
        return Hits(Hit(*found) for found in zip(ours, scores, ranks, strict=True))

    def __repr__(self) -> str:
        return f"LangChainRetriever({type(self.retriever).__name__})"


def scores_of(documents: Sequence[LangChainDocument]) -> list[float]:
    """The scores among the metadata; none where a document has none, or they don't fit the order."""
    scores = [document.metadata.get("score") for document in documents]
    numbers = [score for score in scores if isinstance(score, int | float)]
    return numbers if len(numbers) == len(scores) and numbers == sorted(numbers, reverse=True) else []


class LangChainGenerator:
    """Any chat model or language model of LangChain's as the generator of RAG: from a prompt, which becomes one human
    message, to a text. `generate` asks for several prompts at the same time, `stream` yields pieces."""

    def __init__(self, model: Runnable) -> None:
        if not isinstance(model, Runnable):
            raise TypeError(f"model must be one of LangChain's, not a {type(model).__name__}")
        self.model, self._chain = model, model | StrOutputParser()

    def __call__(self, prompt: str) -> str:
        return self._chain.invoke(prompt)

    def generate(self, prompts: Sequence[str]) -> list[str]:
        return self._chain.batch(list(prompts))

    def stream(self, prompt: str) -> Iterator[str]:
        return self._chain.stream(prompt)

    def __repr__(self) -> str:
        return f"LangChainGenerator({type(self.model).__name__})"
