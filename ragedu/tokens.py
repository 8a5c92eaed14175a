"""How many tokens of a text a model reads, by its tokenizer alone: neither torch nor the model is loaded.

A tokenizer cuts a text at white space before it looks for tokens, so the tokens of a text are those of its words. Each
distinct word is encoded once, and a long text is counted nearly as fast as its words.
"""

from __future__ import annotations

import json
import re
import warnings
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path

from tokenizers import Tokenizer

from ragedu.models import MINILM, SMOLLM2, ModelUnavailable, embedding_model_folder, language_model_folder

# The only white space that every tokenizer takes for a separator: of control characters, and of blanks that join two
# words, some drop the character and read one word.
WORD = re.compile(r"[^ \t\n\r]+")
# For tokenizers whose tokens include white space: a word with the blanks before it, or the blanks at the end.
SPACED_WORD = re.compile(r"[ \t\n\r]*[^ \t\n\r]+|[ \t\n\r]+$")
MAX_REMEMBERED_CHARACTERS = 64  # longer "words" are addresses and data: hardly one is met again
MAX_REMEMBERED_WORDS = 500_000  # some 60 MB
MAX_ENCODED_CHARACTERS = 1000  # longer "words" fit into no passage: they need not be encoded to know it
CHARACTERS_PER_TOKEN = 16  # of a text with many blanks or accents, which some tokenizers drop; of prose four or five
BYTES_PER_TOKEN = 4  # of English prose a little more
UNKNOWN_MODEL_LIMIT = 10**9  # what transformers writes where a model has no limit is far above it


def _words(text: str) -> list[str]:
    # Twice as fast, and the same where there are no line ends and no white space but blanks.
    return text.split() if text.isascii() and text.isprintable() else WORD.findall(text)


def _spaced_words(text: str) -> list[str]:
    return SPACED_WORD.findall(text)


class WordTokens(dict[str, int]):
    """{word: its number of tokens}; a word that is not there yet is counted when it is asked for."""

    def __init__(self, count: Callable[[str], int]) -> None:
        self.count = count

    def __missing__(self, word: str) -> int:
        tokens = self.count(word)
        if len(word) <= MAX_REMEMBERED_CHARACTERS:
            if len(self) >= MAX_REMEMBERED_WORDS:
                self.clear()
            self[word] = tokens
        return tokens


class TokenCounter:
    """Counts the tokens of texts as one model reads them.

    Parameters
    ----------
    tokenizer
        The model's tokenizer. It is copied, because padding and truncation belong to whoever encodes.
    limit
        How many tokens the model reads, special tokens included; None where there is no limit.
    prompt
        What the model puts before each text.
    """

    def __init__(self, tokenizer: Tokenizer, *, limit: int | None = None, prompt: str = "") -> None:
        self._tokenizer = Tokenizer.from_str(tokenizer.to_str())
        self._tokenizer.no_truncation()
        self._tokenizer.no_padding()
        self.limit, self.prompt = limit, prompt
        self.special = len(self._tokenizer.encode(prompt).ids)
        unknown = getattr(self._tokenizer.model, "unk_token", None)
        self._unknown = None if unknown is None else self._tokenizer.token_to_id(unknown)
        reads_blanks = self._ids("a \n b ") != self._ids("a b")
        self._words = _spaced_words if reads_blanks else _words
        self._exact = WordTokens(self._exactly)
        self._most = WordTokens(self._at_most)

    def count(self, text: str) -> int:
        """The tokens that the model would read of the text if it had no limit, special tokens and prompt included."""
        return self.special + sum(map(self._exact.__getitem__, self._words(text)))

    def cost(self, text: str) -> int:
        """Tokens of the text without special ones: never fewer than are read, and of what is not prose more.

        A word that the model doesn't know is one token to it, be it sixty thousand characters long. Other models read
        such a word character by character, and so it is counted here.
        """
        return max(sum(map(self._most.__getitem__, self._words(text))), len(text) // CHARACTERS_PER_TOKEN)

    def _ids(self, word: str) -> list[int]:
        return self._tokenizer.encode(word, add_special_tokens=False).ids

    def _exactly(self, word: str) -> int:
        return len(self._ids(word))

    def _at_most(self, word: str) -> int:
        if len(word) > MAX_ENCODED_CHARACTERS:
            return len(word.encode())
        ids = self._ids(word)
        return max(len(ids), len(word)) if self._unknown in ids else len(ids)


class TokenEstimate(TokenCounter):
    """One token for each four bytes of a word: for the bundled embedding model where it is not installed.

    >>> TokenEstimate().count("The ferry leaves at nine.")  # by the model 8, special tokens included
    10
    """

    def __init__(self, *, limit: int = 256) -> None:
        self.limit, self.prompt, self.special = limit, "", 2
        self._words = _words
        self._exact = self._most = WordTokens(lambda word: -(-len(word.encode()) // BYTES_PER_TOKEN))


def token_counter(name: str | Path = MINILM.name) -> TokenCounter:
    """Counts the tokens of a model: a bundled one by its name, any other by the folder with its tokenizer.json.

    For a model known by its name on Hugging Face, ask the model that is loaded: `Embedder(name).token_counter`.

    Raises ModelUnavailable where there is no such model or no tokenizer.json.
    """
    return _bundled(str(name)) if str(name) in (MINILM.name, SMOLLM2.name) else _in_folder(Path(name).expanduser())


@cache
def _bundled(name: str) -> TokenCounter:
    return _in_folder(Path(language_model_folder(name) if name == SMOLLM2.name else embedding_model_folder(name)))


def _in_folder(folder: Path) -> TokenCounter:
    if not (folder / "tokenizer.json").is_file():
        raise ModelUnavailable(
            f"there is no tokenizer.json in {str(folder)!r}: give {MINILM.name}, {SMOLLM2.name} or the folder of a "
            "model, or take Embedder(name).token_counter"
        )
    try:
        tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
    except Exception as error:  # the library raises nothing more special
        raise ModelUnavailable(f"{folder / 'tokenizer.json'} cannot be read ({error}): is it damaged?") from None
    return TokenCounter(tokenizer, limit=min(_limits(folder), default=None))


def _limits(folder: Path) -> Iterator[int]:
    """What the files of a model say about how many tokens it reads."""
    for file, key in (
        ("sentence_bert_config.json", "max_seq_length"),
        ("tokenizer_config.json", "model_max_length"),
        ("config.json", "max_position_embeddings"),
    ):
        try:
            limit = json.loads((folder / file).read_text("utf-8")).get(key)
        except (OSError, ValueError, AttributeError):
            continue
        if isinstance(limit, int) and limit < UNKNOWN_MODEL_LIMIT:
            yield limit


def embedder_tokens() -> TokenCounter:
    """The bundled embedding model's counter, or an estimate where the model is missing, which is said once."""
    try:
        return token_counter()
    except ModelUnavailable as error:
        return _estimate(str(error))


@cache
def _estimate(reason: str) -> TokenCounter:
    warnings.warn(
        f"passages are cut by an estimate, one token for each {BYTES_PER_TOKEN} bytes of a word: {reason}",
        stacklevel=4,
    )
    return TokenEstimate()
