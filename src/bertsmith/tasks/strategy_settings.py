"""The paper's two strategies: the network learns the task, or stays as it is and its states are features (BERT 5.3)."""

from typing import Literal

from pydantic import Field, model_validator

from bertsmith.core.configuration import Settings
from bertsmith.model.bilstm_configuration import BiLstmConfig, StateCombination
from bertsmith.model.bilstm_for_tasks import EncoderConfig
from bertsmith.model.elmo_configuration import ElmoConfig
from bertsmith.model.layer_names import layer_numbers

_PAPERS_SIZE = 768
_FLAG = "--state-layers"


class StrategySettings(Settings):
    """Fine-tuning with one added layer: the defaults."""

    strategy: Literal["fine-tuning", "feature-based"] = Field(
        "fine-tuning",
        description="feature-based: the network stays as it is, and a BiLSTM on its states learns the task",
    )
    bilstm_size: int | None = Field(
        None,
        ge=2,
        multiple_of=2,
        description=f"width of a BiLSTM of two layers on the states; default: {_PAPERS_SIZE} if feature-based, else "
        f"none but one added layer",
    )
    state_layers: tuple[str, ...] = Field(
        (),
        description="whose states the BiLSTM reads: embeddings, second-to-last, last, last4, all, or numbers; default: "
        "last4 if feature-based, else last; of an ELMo, embeddings and all",
    )
    combine_states: StateCombination | None = Field(
        None,
        description="what becomes of several layers' states; the weights of a sum are learnt; default: concatenate; of "
        "an ELMo, weighted-sum",
    )

    @model_validator(mode="after")
    def _says_nothing_of_what_is_not_there(self) -> "StrategySettings":
        if not self.has_bilstm and (self.state_layers or self.combine_states):
            raise ValueError(
                "state_layers and combine_states are for a BiLSTM: set strategy = feature-based, or bilstm_size"
            )
        return self

    @property
    def has_bilstm(self) -> bool:
        """Whether a BiLSTM stands on the network, and not one added layer."""
        return self.strategy == "feature-based" or self.bilstm_size is not None

    def bilstm(self, network: EncoderConfig, dropout: float) -> BiLstmConfig | None:
        """What stands on a network; None for one added layer.

        raises  ConfigurationError for a layer that the network does not have
        """
        if not self.has_bilstm:
            return None
        is_frozen, is_elmo = self.strategy == "feature-based", isinstance(network, ElmoConfig)
        usual = ("embeddings", "all") if is_elmo else ("last4",) if is_frozen else ("last",)
        return BiLstmConfig(
            layers=tuple(layer_numbers(self.state_layers or usual, network.num_hidden_layers, _FLAG)),
            combine=self.combine_states or ("weighted-sum" if is_elmo else "concatenate"),
            size=self.bilstm_size or _PAPERS_SIZE,
            dropout=dropout,
            frozen=is_frozen,
        )
