"""Only those rows of the token table that the training texts use are trained one by one; the others shrink together.

Most pieces of a vocabulary are in no text of a task. Their gradients are always zero, and all that AdamW does to a
weight without gradients is to shrink it (decoupled decay), by one factor for all. So while a network learns, its table
has the used rows alone: gradients, their norm, AdamW and its running means are spared for the rest, which is most of a
small network's weights, or of one for many languages. The result is that of training the whole table, but for rounding.

Legend: V pieces, U of them in the training texts, H hidden size.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor, nn

from bertsmith.model.bert_for_tasks import BertForMaskedWord
from bertsmith.model.task_networks import TaskNetwork
from bertsmith.tasks.encoded import EncodedExamples
from bertsmith.tasks.language_loss import scores_pieces
from bertsmith.tasks.loss_settings import LossSettings

_TABLE = "embeddings.tokens"


@dataclass(eq=False)
class _NarrowTable:
    """A table while it has the used rows alone.

    name       of its weights in the network
    before     [V, H] float32, as it was before training
    remaining  what is left of a weight that only shrinks, as a share
    """

    table: nn.Embedding
    name: str
    before: Tensor
    remaining: float = 1.0

    def whole(self, pieces: Tensor, trained: Tensor) -> Tensor:
        """[V, H] float32 as it is now, from the used rows [U, H]."""
        return (self.before * self.remaining).index_copy_(0, pieces, trained)


class UsedPieces:
    """A network whose token table has the used rows alone, and texts that name pieces by their number among those.

    train  the training examples in these numbers
    """

    def __init__(self, network: TaskNetwork, train: EncodedExamples, loss: LossSettings):
        self.train = train
        self._narrow: list[_NarrowTable] = []
        if isinstance(network, BertForMaskedWord) or scores_pieces(network, loss.language_model):
            return  # the table is an output layer too, for which every piece matters
        for name, table in network.named_modules():
            if name.endswith(_TABLE) and isinstance(table, nn.Embedding) and table.weight.requires_grad:
                self._narrow.append(_NarrowTable(table, f"{name}.weight", table.weight.detach()))
        if self._narrow:
            self._use_pieces_of(train)

    def _use_pieces_of(self, train: EncodedExamples) -> None:
        pieces = np.unique(np.concatenate([ids for row in train.rows for ids in row.token_ids]))  # [U]
        numbers = np.zeros(pieces[-1] + 1, dtype=np.int32)
        numbers[pieces] = np.arange(len(pieces))
        self.train = replace(
            train, rows=[replace(row, token_ids=tuple(numbers[ids] for ids in row.token_ids)) for row in train.rows]
        )
        self._pieces = torch.from_numpy(pieces.astype(np.int64)).to(self._narrow[0].before.device)
        for narrow in self._narrow:
            narrow.table.weight = nn.Parameter(narrow.before[self._pieces])

    def after_step(self, decay: float, rate_factor: Callable[[str], float]) -> None:
        """Take note of an update.

        decay        learning rate times weight decay
        rate_factor  by what the learning rate of a parameter, known by its name, was multiplied
        """
        for narrow in self._narrow:
            narrow.remaining *= 1.0 - decay * rate_factor(narrow.name)

    @property
    def remaining(self) -> tuple[float, ...]:
        """What is left of the rows of each table that are not trained, as a share."""
        return tuple(narrow.remaining for narrow in self._narrow)

    def go_on_from(self, remaining: Sequence[float]) -> None:
        """Take what was left of those rows when the same network had learnt for some steps."""
        for narrow, share in zip(self._narrow, remaining, strict=True):
            narrow.remaining = share

    def all_weights(self, trained: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """The weights that are trained, float32, with tables of all pieces in place of the narrow ones."""
        whole = {narrow.name: narrow.whole(self._pieces, trained[narrow.name]) for narrow in self._narrow}
        return {**trained, **whole}

    def widen(self, trained: Mapping[str, Tensor]) -> None:
        """Give the network tables of all pieces, each under its own id, from the weights that are trained."""
        for narrow in self._narrow:
            whole = narrow.whole(self._pieces, trained[narrow.name])
            narrow.table.weight = nn.Parameter(whole.to(narrow.table.weight.dtype))

    @contextmanager
    def all_pieces(self, trained: Mapping[str, Tensor]) -> Iterator[None]:
        """While it lasts the network is widened: for other texts than those of training."""
        rows = [narrow.table.weight for narrow in self._narrow]
        self.widen(trained)
        try:
            yield
        finally:
            for narrow, its_rows in zip(self._narrow, rows, strict=True):
                narrow.table.weight = its_rows
