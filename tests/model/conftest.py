"""Tiny random networks, ours and transformers' with the same weights, and ragged batches for both."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import pytest
import torch
import transformers
from torch import Tensor, nn

from bertsmith.batches.flat_batch import FlatBatch
from bertsmith.model.configuration import BertConfig
from bertsmith.text.tokenizer import Tokenizer

RAGGED_LENGTHS = (3, 17, 512, 128, 5, 64)


@dataclass(frozen=True)
class Inputs:
    """The same sequences flat for us and padded for transformers."""

    flat: FlatBatch
    padded: dict[str, Tensor]  # input_ids, token_type_ids, attention_mask: [B, S]

    def flatten(self, padded: Tensor) -> Tensor:
        """[B, S, ...] of transformers without the padding: [T, ...]."""
        return padded[self.padded["attention_mask"].bool()]


@pytest.fixture
def tiny_config() -> BertConfig:
    """Nothing in it is a default, and no two sizes are equal, so that a mix-up shows."""
    return BertConfig(
        vocab_size=211,
        hidden_size=48,
        num_hidden_layers=3,
        num_attention_heads=4,
        intermediate_size=80,
        type_vocab_size=2,
        hidden_dropout_prob=0.0,
        attention_probs_dropout_prob=0.0,
        layer_norm_eps=1e-10,
    )


@pytest.fixture
def tokenizer() -> Tokenizer:
    """As many pieces as the tiny networks have embeddings."""
    letters = [chr(code) for code in range(ord("a"), ord("z") + 1)]
    pieces = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *letters, *(f"##{letter}" for letter in letters)]
    return Tokenizer(pieces + [f"word{n}" for n in range(211 - len(pieces))])


@pytest.fixture
def make_inputs() -> Callable[..., Inputs]:
    def make(lengths: Sequence[int] = RAGGED_LENGTHS, vocab_size: int = 211, seed: int = 0) -> Inputs:
        generator = torch.Generator().manual_seed(seed)
        ids = [torch.randint(5, vocab_size, (length,), generator=generator).numpy() for length in lengths]
        segments = [(torch.arange(length) >= length // 2).long().numpy() for length in lengths]
        padded = {
            "input_ids": nn.utils.rnn.pad_sequence([torch.from_numpy(row) for row in ids], batch_first=True),
            "token_type_ids": nn.utils.rnn.pad_sequence([torch.from_numpy(row) for row in segments], batch_first=True),
            "attention_mask": (torch.arange(max(lengths)) < torch.tensor(lengths)[:, None]).long(),
        }
        return Inputs(FlatBatch.from_sequences(ids, segments), padded)

    return make


@pytest.fixture
def randomise() -> Callable[[nn.Module], nn.Module]:
    """Give every weight, bias and LayerNorm a value that is neither 0 nor 1."""

    def randomise(model: nn.Module, seed: int = 0) -> nn.Module:
        generator = torch.Generator().manual_seed(seed)
        with torch.no_grad():
            for name, parameter in model.named_parameters():
                centre = 1.0 if name.endswith("norm.weight") else 0.0
                parameter.copy_(centre + 0.15 * torch.randn(parameter.shape, generator=generator))
        return model

    return randomise


@pytest.fixture
def make_twin() -> Callable[..., nn.Module]:
    """transformers' model with the weights of ours."""

    def make(model_class: type[transformers.PreTrainedModel], model: nn.Module, **settings: object) -> nn.Module:
        config = model_class.config_class(**model.config.to_hugging_face(), **settings)
        twin = model_class._from_config(config, attn_implementation="eager")
        weights = {
            name: tensor.clone()
            for name, tensor in model.config.weight_names.to_hugging_face(model.state_dict()).items()
        }
        missing, unexpected = twin.load_state_dict(weights, strict=False)
        assert not unexpected
        assert {name.removeprefix("transformer.") for name in missing} <= set(model.config.weight_names.tied)
        return twin

    return make
