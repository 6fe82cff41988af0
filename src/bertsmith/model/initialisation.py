"""Initial values: the released code's, or those that let a small budget see its neighbours from the first step."""

from collections.abc import Collection
from typing import Literal

import torch

from bertsmith.core.errors import ConfigurationError
from bertsmith.core.randomness import derive_seed
from bertsmith.model.bert import Bert, BertForMaskedLM, BertForPreTraining
from bertsmith.model.bert_for_tasks import BertModel
from bertsmith.model.bilstm_for_tasks import BiLstmTaskNetwork
from bertsmith.model.cooccurrence import initialise_cooccurrence
from bertsmith.model.elmo_language_model import ElmoModel
from bertsmith.model.gpt import GptModel
from bertsmith.model.gpt_for_tasks import GptTaskNetwork
from bertsmith.model.neighbour import initialise_neighbour_encoder, initialise_output_bias
from bertsmith.text.pair_counts import TextCounts

_CARRY_BIAS = -2.0  # a highway layer begins by passing on what it reads (Srivastava et al. 2015)

InitialisationScheme = Literal["normal", "neighbour", "cooccurrence"]


def initialise(
    model: BertModel | GptModel | GptTaskNetwork | BiLstmTaskNetwork | ElmoModel,
    scheme: InitialisationScheme,
    seed: int,
    counts: TextCounts | None = None,
) -> None:
    """Give every weight its initial value, a function of the scheme, the seed, the counts and the weight's name.

    "normal"        the released code's: N(0, 0.02) cut off at two standard deviations; biases 0, LayerNorm 1 and 0
                    (transformers does not cut it off)
    "neighbour"     the same, and then what `neighbour` describes
    "cooccurrence"  the same, and then what `cooccurrence` describes; of a model with a masked-LM head
    counts          of the text: pieces for "neighbour" with a masked-LM head, and pairs for "cooccurrence"
    """
    initialise_normal(model, seed)
    if scheme == "normal":
        return
    has_head = isinstance(model, BertForPreTraining | BertForMaskedLM)
    if counts is None and (has_head or scheme == "cooccurrence"):
        raise ConfigurationError(f"The {scheme} initialisation of a masked-LM head needs the counts of the text.")
    if isinstance(model, BiLstmTaskNetwork):
        raise ConfigurationError(
            f"The {scheme} initialisation is one of an encoder with one added layer, not a BiLSTM."
        )
    if isinstance(model, GptModel | GptTaskNetwork | ElmoModel):
        raise ConfigurationError(f"The {scheme} initialisation is one of BERT; a GPT's or an ELMo's is normal.")
    if scheme == "cooccurrence":
        if not isinstance(model, BertForPreTraining | BertForMaskedLM):
            raise ConfigurationError("The co-occurrence initialisation is one of models with a masked-LM head.")
        assert counts is not None
        initialise_cooccurrence(model, seed, counts)
    else:
        initialise_neighbour_encoder(model if isinstance(model, Bert) else model.bert, seed)
        if isinstance(model, BertForPreTraining | BertForMaskedLM):
            assert counts is not None
            initialise_output_bias(model.masked_lm, counts.tokens)


@torch.no_grad()
def initialise_normal(
    model: BertModel | GptModel | GptTaskNetwork | BiLstmTaskNetwork | ElmoModel,
    seed: int,
    only: Collection[str] | None = None,
) -> None:
    """The released code's initial values, for all weights or for those named in `only`.

    A weight of the encoder has the same value whichever head stands on top.
    """
    std = model.config.initializer_range
    for name, parameter in model.named_parameters():
        if only is not None and name not in only:
            continue
        if name.endswith("_gates.bias"):
            initialise_gate_biases(parameter)
        elif name.endswith(".gate.bias"):
            parameter.fill_(_CARRY_BIAS)
        elif name.endswith("bias") or name == "mix.weights":
            parameter.zero_()
        elif name.endswith("norm.weight") or name == "mix.gamma":
            parameter.fill_(1.0)
        else:
            purpose = f"initialise/{name.removeprefix(model.config.weight_names.prefixes[0])}"
            generator = torch.Generator().manual_seed(derive_seed(seed, purpose))
            bound = _uniform_bound(name, parameter)
            if bound is None:
                torch.nn.init.trunc_normal_(parameter, std=std, a=-2 * std, b=2 * std, generator=generator)
            else:
                torch.nn.init.uniform_(parameter, -bound, bound, generator=generator)


def _uniform_bound(name: str, parameter: torch.Tensor) -> float | None:
    """Of weights that are uniform, as torch's: an LSTM's by the width of its memory, an ELMo's by what they read."""
    if name.endswith("_gates.weight"):
        return float((len(parameter) // 4) ** -0.5)
    if name.endswith("words.characters.weight"):
        return 1.0
    if name.startswith(("elmo.", "words.", "forward_model.", "backward_model.", "vocabulary.")):
        return float(parameter[0].numel() ** -0.5)
    return None


def initialise_gate_biases(biases: torch.Tensor) -> None:
    """0, and 1 for the forget gate: an LSTM that begins by remembering learns faster (Jozefowicz et al. 2015, 3.2).

    biases  [4 M]  of the gates input, forget, candidate, output
    """
    biases.zero_().chunk(4)[1].fill_(1.0)
