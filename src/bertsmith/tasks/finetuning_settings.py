"""The settings of `finetune`."""

from pathlib import Path
from typing import Any, Literal

import numpy as np
from pydantic import Field

from bertsmith.core.configuration import Settings
from bertsmith.tasks.columns import ColumnSettings
from bertsmith.tasks.encoded import EncodedExamples
from bertsmith.tasks.grid import Cell, GridSettings
from bertsmith.tasks.input_limits import InputLimits
from bertsmith.tasks.layer_settings import LayerSettings
from bertsmith.tasks.loss_settings import LossSettings
from bertsmith.tasks.strategy_settings import StrategySettings
from bertsmith.tasks.task import Task
from bertsmith.tasks.task_data import TaskDataSettings
from bertsmith.training.machine import TrainingMachineSettings
from bertsmith.training.optimiser import OptimiserSettings

_MICRO_BATCH_EXAMPLES = 32
_MICRO_BATCH_TOKENS = 8192
_MOST_TOKENS = 4 * _MICRO_BATCH_TOKENS  # of the longest examples together


class FinetuneTrainingSettings(OptimiserSettings):
    """The paper's fine-tuning (A.3): Adam as published, with bias correction; 10 % warm-up, then linear decay."""

    learning_rate: float = Field(
        5e-5, gt=0, description="peak learning rate; the paper tries 5e-5, 3e-5, 2e-5; small models want 1e-4 to 3e-4"
    )
    warmup_share: float = Field(0.1, ge=0, lt=1, description="share of the training in which the rate rises from 0")
    bias_correction: bool = Field(
        True,
        description="correct the running means for their start at 0; without it small data sets collapse more often",
    )
    epochs: int = Field(3, ge=1, description="times that every training example is seen")
    batch_size: int = Field(32, ge=1, description="examples per optimiser step")
    dropout: float = Field(
        0.1, ge=0, lt=1, description="dropout everywhere in the network, whatever it was pre-trained with"
    )
    patience: int | None = Field(
        None,
        ge=1,
        description="stop after so many epochs without a better dev score, and keep the best epoch; default: keep the "
        "last one, as the paper does",
    )
    restarts: int = Field(
        0, ge=0, description="how often a collapsed run is started again from another seed; all are told and on file"
    )


class FinetuneRuntimeSettings(TrainingMachineSettings):
    """How the machine is used."""

    micro_batch_size: int | None = Field(
        None,
        ge=1,
        description="examples of one forward and backward pass (memory); default: 32, fewer of long ones; one example "
        "is never divided",
    )

    def examples_at_once(self, train: EncodedExamples) -> int:
        """What was said, or as many as hold about 8,192 tokens, 32 at most.

        The examples of a batch stand by length, so the longest may meet in one pass: together they hold four times as
        many tokens at most, unless one does by itself.
        """
        if self.micro_batch_size is not None:
            return self.micro_batch_size
        lengths = np.sort(train.lengths)  # [N]
        usual = _MICRO_BATCH_TOKENS // int(lengths[int(0.95 * (len(train) - 1))])  # but for one in twenty
        of_the_longest = int(np.searchsorted(np.cumsum(lengths[::-1]), _MOST_TOKENS, side="right"))
        return max(1, min(_MICRO_BATCH_EXAMPLES, usual, of_the_longest))


class FinetuneConfig(Settings):
    """Fine-tune a pre-trained model on a task."""

    model: Path = Field(description="pre-trained model: a run folder of `pretrain`, a model folder, or Hugging Face's")
    out: Path = Field(description="new folder for the task model, its scores and its log")
    seed: int = Field(0, ge=0, description="first seed: of the added layer, the order of examples and dropout")
    seeds: int = Field(1, ge=1, description="how many runs, with the seeds seed, seed + 1, ...")
    initialisation: Literal["pretrained", "random", "neighbour"] = Field(
        "pretrained",
        description="random, neighbour: the same network untrained, to measure what pre-training is worth",
    )
    dry_run: bool = Field(False, description="pass every stage in seconds, keep nothing")
    task_data: TaskDataSettings = TaskDataSettings()
    columns: ColumnSettings = ColumnSettings()
    inputs: InputLimits = InputLimits()
    training: FinetuneTrainingSettings = FinetuneTrainingSettings()
    loss: LossSettings = LossSettings()
    layers: LayerSettings = LayerSettings()
    strategy: StrategySettings = StrategySettings()
    grid: GridSettings = GridSettings()
    runtime: FinetuneRuntimeSettings = FinetuneRuntimeSettings()

    def with_recommended(self, task: Task[Any, Any]) -> "FinetuneConfig":
        """The settings, with those that the task recommends wherever nothing was said."""
        changes: dict[str, Settings] = {}
        for group, values in task.recommended.items():
            settings: Settings = getattr(self, group)
            unsaid = {name: value for name, value in values.items() if name not in settings.model_fields_set}
            changes[group] = settings.model_copy(update=unsaid)
        return self.model_copy(update=changes)

    def with_cell(self, cell: Cell) -> "FinetuneConfig":
        """The settings of one cell of the grid."""
        return self.model_copy(update={"training": self.training.model_copy(update=dict(cell))})
