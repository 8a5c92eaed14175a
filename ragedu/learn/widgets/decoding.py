"""Next-token bars: what the model thinks could come next, and what temperature and top-p make of it."""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING

from ipywidgets import Checkbox, Layout, Textarea

from ragedu.learn.widgets.marks import bar, count
from ragedu.learn.widgets.panel import Panel, Slider
from ragedu.showing import escape, table

if TYPE_CHECKING:
    from torch import Tensor

    from ragedu.generation.language_model import LanguageModel

INVISIBLE = str.maketrans({" ": "␣", "\n": "⏎", "\t": "⇥"})


def next_token(model: LanguageModel, prompt: str, *, n: int = 10, chat: bool = False) -> Panel:
    """The n most probable next tokens after a prompt, with sliders for temperature (0 to 2) and top-p (0.05 to 1).

    With `chat` the prompt is put into the model's chat template first; a checkbox changes it. The model reads a prompt
    once; the sliders only weigh again what it said.
    """
    box = Textarea(prompt, description="prompt", rows=2, continuous_update=False, layout=Layout(width="95%"))
    template = Checkbox(chat, description="as a chat message", indent=True)
    controls = {"prompt": box, "chat": template}
    controls |= {"temperature": Slider(1, 0, 2, "temperature"), "top_p": Slider(1, 0.05, 1, "top-p")}

    @lru_cache(maxsize=16)
    def remembered(prompt: str, chat: bool) -> Tensor:
        return logits_after(model, prompt, chat=chat)

    def show(prompt: str, chat: bool, temperature: float, top_p: float) -> str:
        logits = remembered(prompt, chat)
        words = [model.tokenizer.decode([token]) for token in top(logits, n)]
        return bars(logits, words, temperature, top_p)

    return Panel(controls, show)


def logits_after(model: LanguageModel, prompt: str, *, chat: bool = False) -> Tensor:
    """The logits of the token that comes next: float32 tensor (vocabulary size,)."""
    import torch

    ids = torch.tensor([model.encode(prompt, chat=chat)], device=model.model.device)
    if ids.shape[1] >= model.context_length:
        raise ValueError(
            f"the prompt has {ids.shape[1]:,} tokens, but the model's context holds {model.context_length:,}: "
            "shorten it"
        )
    with torch.inference_mode():
        return model.model(input_ids=ids, logits_to_keep=1).logits[0, -1].float().cpu()


def top(logits: Tensor, n: int) -> list[int]:
    """The n tokens with the largest logits, best first."""
    # A stable sort, because in bfloat16 ties are common, and greedy decoding takes the first.
    return logits.argsort(descending=True, stable=True)[:n].tolist()


def probabilities_after(logits: Tensor, temperature: float, top_p: float) -> Tensor:
    """What the next token is drawn from, after temperature (0 is greedy decoding) and top-p: tensor like `logits`."""
    from ragedu.generation.decoding import apply_temperature, greedy, is_greedy, keep_top_p

    if is_greedy(temperature):
        chosen = logits.new_zeros(logits.shape)
        chosen[greedy(logits)] = 1.0
        return chosen
    return keep_top_p(apply_temperature(logits, temperature), top_p).softmax(dim=-1)


def bars(logits: Tensor, words: list[str], temperature: float, top_p: float) -> str:
    """A bar for each of the most probable tokens; `words` are these tokens' texts, best first."""
    before, after = logits.softmax(dim=-1), probabilities_after(logits, temperature, top_p)
    rows = []
    rest = 1.0
    for word, token in zip(words, top(logits, len(words)), strict=True):
        p = float(after[token])
        rest -= p
        rows.append(
            [
                f"<code>{escape(word.translate(INVISIBLE)) or '(nothing)'}</code>",
                f"{float(before[token]):.1%}",
                f"{p:.1%}" if p else "–",
                bar(p, 1, width=24) if p else "✗ ruled out",
            ]
        )
    if temperature == 0:
        drawn = f"Temperature 0 is greedy decoding: the first of {len(logits):,} tokens, always."
    else:
        allowed = f"{count(int((after > 0).sum()), 'token')} of {len(logits):,} can be drawn"
        drawn = f"{allowed}; those not shown have {max(rest, 0):.1%} together."
    return table(["next token", "model says", "drawn with", ""], rows, numbers=(1, 2)) + f"<p>{drawn}</p>"
