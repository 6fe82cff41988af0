"""What stands on an encoder where a BiLSTM learns the task (BERT 5.3; Peters et al. 2018, 3.3)."""

from typing import Literal

from pydantic import Field

from bertsmith.core.configuration import Settings

StateCombination = Literal["concatenate", "weighted-sum"]


class BiLstmConfig(Settings):
    """A BiLSTM of two layers on the states of some layers of an encoder."""

    layers: tuple[int, ...] = Field(min_length=1, description="whose states it reads: 0 the embeddings, 1 the first")
    combine: StateCombination = Field("concatenate", description="what becomes of them; the sum's weights are learnt")
    size: int = Field(768, ge=2, multiple_of=2, description="width of a state, half of it from each direction")
    dropout: float = Field(0.1, ge=0, lt=1, description="of what it reads and of what is read from it")
    frozen: bool = Field(True, description="the encoder stays as it is, and has no dropout")
