"""The parts of a task's data as the network reads them."""

from pathlib import Path

from bertsmith.core.console import console
from bertsmith.core.errors import ConfigurationError
from bertsmith.model.folder_configuration import load_any_config
from bertsmith.tasks.input_limits import InputLimits
from bertsmith.tasks.reading import encode_for
from bertsmith.tasks.seed_run import EncodedPart
from bertsmith.tasks.task_data import TaskData
from bertsmith.text.tokenizer import Tokenizer


def encode_parts(
    data: TaskData, tokenizer: Tokenizer, source: Path, limits: InputLimits
) -> tuple[EncodedPart, dict[str, EncodedPart]]:
    """Encode train and dev; say how many examples there are and how many were cut.

    source   the pre-trained model's folder
    returns  (train, the dev parts by name)
    raises   ConfigurationError if the model has too few positions for inputs of that length
    """
    network = load_any_config(source)
    positions = network.max_position_embeddings
    if limits.max_seq_length > positions:
        raise ConfigurationError(
            f"--max-seq-length {limits.max_seq_length} is more than the {positions} positions that {source} has. "
            f"Lower it."
        )
    parts = {}
    for name, examples in {"train": data.train, **data.dev}.items():
        encoded = encode_for(network, data.task, examples.rows, tokenizer, limits)
        parts[name] = EncodedPart(examples, encoded)
        num_windows = sum(len(row.token_ids) for row in encoded.rows)
        windows = f" in {num_windows:,} sequences" if num_windows != len(examples.rows) else ""
        cut = f", {encoded.num_cut:,} of them cut to {limits.max_seq_length} tokens" if encoded.num_cut else ""
        console.print(f"{data.task.name} {name}: {len(examples.rows):,} examples{windows}{cut}", soft_wrap=True)
    return parts.pop("train"), parts
