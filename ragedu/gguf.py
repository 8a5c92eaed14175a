"""Turn a quantised Llama model in a GGUF file (llama.cpp's format) into a folder that transformers loads.

`gguf`, from which this file imports, is the package of llama.cpp's project, which reads such files. transformers' own
import is not used: it takes five times as long and omits the rule that every digit is a token of its own.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from gguf import GGUFReader
    from torch import Tensor
    from transformers import LlamaConfig, PreTrainedTokenizerFast

# llama.cpp's name for each weight of a layer, and transformers'.
LAYER_WEIGHTS = {
    "attn_norm": "input_layernorm",
    "attn_q": "self_attn.q_proj",
    "attn_k": "self_attn.k_proj",
    "attn_v": "self_attn.v_proj",
    "attn_output": "self_attn.o_proj",
    "ffn_norm": "post_attention_layernorm",
    "ffn_gate": "mlp.gate_proj",
    "ffn_up": "mlp.up_proj",
    "ffn_down": "mlp.down_proj",
}
OTHER_WEIGHTS = {"token_embd": "model.embed_tokens", "output_norm": "model.norm", "output": "lm_head"}
CONTROL_TOKEN = 3  # the type that GGUF gives to tokens such as <|im_end|>


def convert_gguf(gguf_file: Path, folder: Path) -> None:
    """Write config, tokenizer and weights (bfloat16 safetensors) of `gguf_file` into the existing `folder`.

    Raises ValueError when the file holds anything but a Llama with SmolLM's byte-level BPE tokenizer: a
    conversion that guesses would give a model that writes nonsense.
    """
    from gguf import GGUFReader

    reader = GGUFReader(gguf_file)
    kinds = [
        reader.fields[name].contents()
        for name in ("general.architecture", "tokenizer.ggml.pre")
        if name in reader.fields
    ]
    if kinds != ["llama", "smollm"]:
        raise ValueError(f"{gguf_file.name} holds {kinds}, and only ['llama', 'smollm'] can be converted")
    config = llama_config(reader)
    config.save_pretrained(folder)
    save_generation_config(reader, folder)
    bpe_tokenizer(reader, config).save_pretrained(folder)
    save_weights(reader, config, folder)


def llama_config(reader: GGUFReader) -> LlamaConfig:
    """The shape of the network, from the file's metadata."""
    from transformers import LlamaConfig

    read = lambda name: reader.fields[name].contents()
    return LlamaConfig(
        architectures=["LlamaForCausalLM"],
        dtype="bfloat16",
        vocab_size=len(reader.fields["tokenizer.ggml.tokens"].data),
        hidden_size=read("llama.embedding_length"),
        intermediate_size=read("llama.feed_forward_length"),
        num_hidden_layers=read("llama.block_count"),
        num_attention_heads=read("llama.attention.head_count"),
        num_key_value_heads=read("llama.attention.head_count_kv"),
        max_position_embeddings=read("llama.context_length"),
        rms_norm_eps=read("llama.attention.layer_norm_rms_epsilon"),
        rope_parameters={"rope_type": "default", "rope_theta": read("llama.rope.freq_base")},
        tie_word_embeddings=all(tensor.name != "output.weight" for tensor in reader.tensors),
        bos_token_id=read("tokenizer.ggml.bos_token_id"),
        eos_token_id=read("tokenizer.ggml.eos_token_id"),
        pad_token_id=read("tokenizer.ggml.padding_token_id"),
    )


def save_generation_config(reader: GGUFReader, folder: Path) -> None:
    """Text ends at <|im_end|> (a message) and also at <|endoftext|> (a document)."""
    from transformers import GenerationConfig

    read = lambda name: reader.fields[f"tokenizer.ggml.{name}_token_id"].contents()
    GenerationConfig(
        bos_token_id=read("bos"), eos_token_id=[read("eos"), read("unknown")], pad_token_id=read("padding")
    ).save_pretrained(folder)


def bpe_tokenizer(reader: GGUFReader, config: LlamaConfig) -> PreTrainedTokenizerFast:
    """Byte-level BPE as GPT-2's, after every digit has been separated ("1987" is four tokens)."""
    from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers
    from transformers import PreTrainedTokenizerFast

    read = lambda name: reader.fields[f"tokenizer.ggml.{name}"].contents()
    tokens = read("tokens")
    merges = [tuple(merge.split(" ")) for merge in read("merges")]
    tokenizer = Tokenizer(models.BPE({token: number for number, token in enumerate(tokens)}, merges))
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [pre_tokenizers.Digits(individual_digits=True), pre_tokenizers.ByteLevel(add_prefix_space=False)]
    )
    tokenizer.decoder = decoders.ByteLevel()
    control = [token for token, kind in zip(tokens, read("token_type"), strict=True) if kind == CONTROL_TOKEN]
    tokenizer.add_special_tokens([AddedToken(token, normalized=False, special=True) for token in control])
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        bos_token=tokens[config.bos_token_id],
        eos_token=tokens[config.eos_token_id],
        pad_token=tokens[config.pad_token_id],
        unk_token=tokens[read("unknown_token_id")],
        chat_template=reader.fields["tokenizer.chat_template"].contents(),
        model_max_length=config.max_position_embeddings,
        padding_side="left",
        clean_up_tokenization_spaces=False,
    )


def save_weights(reader: GGUFReader, config: LlamaConfig, folder: Path) -> None:
    """Dequantise one tensor after the other; bfloat16 is what the model was trained in before it was quantised."""
    import torch
    from gguf.quants import dequantize
    from safetensors.torch import save_file
    from tqdm.auto import tqdm

    heads = {"attn_q": config.num_attention_heads, "attn_k": config.num_key_value_heads or config.num_attention_heads}
    weights = {}
    for tensor in tqdm(reader.tensors, desc="converting the language model, once", unit=" tensors"):
        weight = torch.tensor(dequantize(tensor.data, tensor.tensor_type))
        kind, *rest = tensor.name.split(".")
        if kind == "blk":  # blk.7.attn_q.weight
            layer, kind, _ = rest
            if kind in heads:
                weight = separate_rotary_halves(weight, heads[kind])
            name = f"model.layers.{layer}.{LAYER_WEIGHTS[kind]}.weight"
        else:  # token_embd.weight
            name = f"{OTHER_WEIGHTS[kind]}.weight"
        weights[name] = weight.to(torch.bfloat16)
    save_file(weights, folder / "model.safetensors", metadata={"format": "pt"})
    (folder / "model.safetensors").chmod(0o644)  # a class may share one cache; save_file lets only the owner read


def separate_rotary_halves(weight: Tensor, n_heads: int) -> Tensor:
    """Reorder the rows of a query or key matrix (n_heads * head_size, hidden).

    Rotary embeddings rotate pairs of dimensions. llama.cpp stores the two of a pair side by side (0 1 0 1 …),
    transformers stores all first ones and then all second ones (0 0 … 1 1 …).
    """
    pairs = weight.shape[0] // n_heads // 2
    return weight.reshape(n_heads, pairs, 2, -1).transpose(1, 2).reshape(weight.shape).contiguous()
