"""What a GPT is made of, under the names of Hugging Face's `config.json` (Radford et al. 2018)."""

from collections.abc import Mapping
from typing import Any, ClassVar, Literal, Self

from pydantic import Field, model_validator

from bertsmith.core.configuration import Settings, build_settings
from bertsmith.core.errors import ConfigurationError
from bertsmith.model.configuration import SIZES, Activation, BertConfig, read_network
from bertsmith.model.weight_names import GPT_NAMES, WeightNames

# Keys of a config.json that change what the network computes, and the only values that we compute.
_FIXED_KEYS: dict[str, tuple[Any, ...]] = {
    "predict_special_tokens": (True,),
    "summary_type": ("cls_index",),
    "summary_use_proj": (True,),
    "summary_proj_to_labels": (True,),
    "tie_word_embeddings": (True,),
}
_ACTIVATIONS: dict[str, Activation] = {"gelu": "gelu_new", "gelu_new": "gelu_new", "relu": "relu"}


class GptConfig(Settings):
    """The shape of the network and its dropout rates. Defaults: the published GPT (Radford et al. 2018, 4.1)."""

    model_type: ClassVar[str] = "openai-gpt"  # of config.json
    weight_names: ClassVar[WeightNames] = GPT_NAMES

    vocab_size: int = Field(40478, ge=1, description="pieces in the vocabulary")
    n_positions: int = Field(512, ge=1, description="longest sequence in tokens")
    n_embd: int = Field(768, ge=1, description="width H of every hidden state")
    n_layer: int = Field(12, ge=1, description="Transformer layers L")
    n_head: int = Field(12, ge=1, description="attention heads A of each layer; divides the hidden size")
    afn: Literal["gelu", "gelu_new", "relu"] = Field(
        "gelu", description="activation; of a GPT, gelu means the tanh approximation, as gelu_new does"
    )
    resid_pdrop: float = Field(0.1, ge=0, lt=1, description="dropout of each sublayer's output")
    embd_pdrop: float = Field(0.1, ge=0, lt=1, description="dropout of embeddings")
    attn_pdrop: float = Field(0.1, ge=0, lt=1, description="dropout of attention probabilities")
    summary_first_dropout: float = Field(0.1, ge=0, lt=1, description="dropout before the score of a choice")
    layer_norm_epsilon: float = Field(1e-5, gt=0, description="added to the variance in LayerNorm")
    initializer_range: float = Field(0.02, gt=0, description="standard deviation of initial weights, before truncation")

    @model_validator(mode="after")
    def _heads_divide_the_hidden_size(self) -> Self:
        if self.n_embd % self.n_head:
            raise ValueError(f"n_embd {self.n_embd} is not a multiple of n_head {self.n_head}")
        return self

    @property
    def max_position_embeddings(self) -> int:
        """Longest sequence in tokens, under BERT's name."""
        return self.n_positions

    @property
    def num_hidden_layers(self) -> int:
        """Layers L, under BERT's name."""
        return self.n_layer

    @property
    def state_size(self) -> int:
        """Width H of a state."""
        return self.n_embd

    def with_dropout(self, rate: float) -> Self:
        """The same network with one rate everywhere."""
        rates = ("resid_pdrop", "embd_pdrop", "attn_pdrop", "summary_first_dropout")
        return self.model_copy(update=dict.fromkeys(rates, rate))

    @property
    def layers(self) -> BertConfig:
        """Its layers are BERT's (4 H wide inside, LayerNorm after each sum), so this is what they are built from."""
        return BertConfig(
            vocab_size=self.vocab_size,
            hidden_size=self.n_embd,
            num_hidden_layers=self.n_layer,
            num_attention_heads=self.n_head,
            intermediate_size=4 * self.n_embd,
            hidden_act=_ACTIVATIONS[self.afn],
            hidden_dropout_prob=self.resid_pdrop,
            attention_probs_dropout_prob=self.attn_pdrop,
            max_position_embeddings=self.n_positions,
            layer_norm_eps=self.layer_norm_epsilon,
        )

    @classmethod
    def of_size(cls, size: str, **settings: Any) -> Self:  # noqa: ANN401
        """A configuration by the name of a BERT's size (`SIZES`); `settings` overrule."""
        if size not in SIZES:
            raise ConfigurationError(f"There is no model size '{size}'. The sizes are {', '.join(SIZES)}.")
        layers, hidden_size, heads = SIZES[size]
        return build_settings(cls, {"n_layer": layers, "n_embd": hidden_size, "n_head": heads}, settings)

    def to_hugging_face(self) -> dict[str, Any]:
        """The entries of a `config.json` that describe the network."""
        choice_head = {"summary_type": "cls_index", "summary_use_proj": True, "summary_proj_to_labels": True}
        activation = {"afn": "gelu" if self.afn == "gelu_new" else self.afn}  # the same, by the only name they know
        return {"model_type": self.model_type} | choice_head | self.model_dump() | activation

    @classmethod
    def from_hugging_face(cls, entries: Mapping[str, Any], source: str) -> Self:
        """Read a `config.json`; keys that do not concern the network are ignored.

        source  where the entries come from, for the message
        raises  ConfigurationError for a network that is not this one, by the name of the key
        """
        return read_network(cls, entries, source, {"model_type": (cls.model_type,)} | _FIXED_KEYS)
