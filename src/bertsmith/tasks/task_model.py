"""A fine-tuned model in use: examples in, predictions out."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch

from bertsmith.batches.token_budget import BATCH_TOKENS, within_tokens
from bertsmith.core.console import console
from bertsmith.core.errors import ArtefactError, ConfigurationError, InputError
from bertsmith.model.folder_configuration import load_tokenizer, resolve_model_folder
from bertsmith.model.task_networks import SequenceClassifier, TaskNetwork, TokenClassifier
from bertsmith.tasks.encoded import EncodedExamples
from bertsmith.tasks.inference import InferenceSettings
from bertsmith.tasks.input_limits import InputLimits
from bertsmith.tasks.reading import encode_for
from bertsmith.tasks.task import Outputs, Task
from bertsmith.tasks.task_file import load_task
from bertsmith.tasks.task_network import load_network
from bertsmith.text.tokenizer import Tokenizer


class TaskModel:
    """A network with its tokenizer and its task.

    >>> model = TaskModel.load(Path("out/sst-2"))
    >>> model.predict(["a charming film"])[0].label
    """

    def __init__(self, network: TaskNetwork, tokenizer: Tokenizer, task: Task[Any, Any], limits: InputLimits):
        self.network = network
        self.tokenizer = tokenizer
        self.task = task
        self.limits = limits

    @classmethod
    def load(
        cls, folder: Path, settings: InferenceSettings | None = None, max_seq_length: int | None = None
    ) -> "TaskModel":
        """Load what `finetune` wrote: its `--out` folder, or the `model/` in it.

        max_seq_length  longest input in tokens; default: as in fine-tuning
        raises          ArtefactError for a folder that is not a fine-tuned model
        """
        folder = resolve_model_folder(Path(folder))
        task, limits = load_task(folder)
        tokenizer = load_tokenizer(folder)
        network = load_network(task, folder, tokenizer)
        if isinstance(network, SequenceClassifier | TokenClassifier):
            _require_same_outputs(network, task, folder)
        (settings or InferenceSettings()).place(network)
        positions = network.config.max_position_embeddings
        if max_seq_length is not None and max_seq_length > positions:
            raise ConfigurationError(
                f"--max-seq-length {max_seq_length} is more than the {positions} positions that {folder} has. Lower it."
            )
        if max_seq_length is not None:
            limits = limits.model_copy(update={"max_seq_length": max_seq_length})
        return cls(network, tokenizer, task, limits)

    def predict(self, values: Sequence[Any], batch_tokens: int = BATCH_TOKENS) -> list[Any]:
        """A prediction for each value, in the given order. How many were cut is said on stderr.

        values  texts or pairs (text, text) of a task on sentences; what other kinds take, their `example_of` says
        raises  InputError for a value that is none, and for one text in the place of several
        """
        if isinstance(values, str | bytes):
            raise InputError(f"predict takes a list of examples, not {values!r}. Put a single one into a list.")
        examples = [self.task.example_of(value) for value in values]
        if not examples:
            return []
        encoded = self.encode(examples)
        predictions = self.predictions(examples, encoded, batch_tokens)
        report_cuts(encoded.num_cut, len(examples), self.limits)
        return predictions

    def encode(self, examples: Sequence[Any]) -> EncodedExamples:
        """What the network reads of examples of the task's kind, and how many of them were cut for it."""
        return encode_for(self.network.config, self.task, examples, self.tokenizer, self.limits, labelled=False)

    def predictions(
        self, examples: Sequence[Any], encoded: EncodedExamples, batch_tokens: int = BATCH_TOKENS
    ) -> list[Any]:
        """A prediction for each example, in the given order; `encoded` is what `encode` made of them."""
        return self.task.predictions(network_outputs(self.network, encoded, batch_tokens), encoded, examples)


def report_cuts(num_cut: int, num_inputs: int, limits: InputLimits) -> None:
    """Say on the screen how many inputs lost tokens, if any did."""
    if num_cut:
        console.print(
            f"{num_cut:,} of {num_inputs:,} inputs were cut to {limits.max_seq_length} tokens.", soft_wrap=True
        )


@torch.inference_mode()
def network_outputs(network: TaskNetwork, encoded: EncodedExamples, batch_tokens: int) -> list[Outputs]:
    """Outputs of a network for each encoded example, float32: [S, C] of its sequences, or [T, C] of its tokens.

    Examples of similar length share a batch, which is faster.
    """
    network.eval()
    device = next(network.parameters()).device
    outputs: list[Outputs] = [np.zeros((0, 0), dtype=np.float32)] * len(encoded)
    lengths = encoded.lengths.tolist()
    order = sorted(range(len(lengths)), key=lengths.__getitem__)
    for indices in within_tokens(order, lengths.__getitem__, batch_tokens):
        batch = encoded.batch(indices)
        made = network(batch.inputs.to(device)).float().cpu().numpy()  # [S, C] or [T, C]
        borders = np.array(batch.example_borders)
        if network.outputs_per == "token":
            borders = np.array(batch.inputs.borders)[borders]
        for index, part in zip(indices, np.split(made, borders[1:-1]), strict=True):
            outputs[index] = part
    return outputs


def _require_same_outputs(network: SequenceClassifier | TokenClassifier, task: Task[Any, Any], folder: Path) -> None:
    if task.outputs is None or network.labels != task.outputs:
        described = ", ".join(task.outputs.names) if task.outputs else "none"
        raise ArtefactError(
            f"{folder} contradicts itself: config.json has the outputs {', '.join(network.labels.names)}, task.json "
            f"describes {described}. Restore the folder from a copy."
        )
