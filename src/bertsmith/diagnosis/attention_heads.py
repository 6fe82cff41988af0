"""Where the heads look: how much of their attention goes to the neighbours of a token, to itself, to [CLS] and [SEP].

Shares are means over all tokens of some sequences (for a neighbour: over the tokens that have it). A head that averaged
over everything would give each token of a sequence of S tokens 1 / S; `uniform` is what comes of that here. A trained
BERT has heads that give the word before or after more than half of their attention (Clark, Khandelwal, Levy and
Manning, "What does BERT look at?", 2019).

Legend: L layers, A heads, S tokens of a sequence, K places that are looked at.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from bertsmith.batches.flat_batch import PretrainingBatch
from bertsmith.diagnosis.finding import Finding, Level, Rows
from bertsmith.model.bert import Bert

OFFSETS = (-2, -1, 0, 1, 2)
PLACES = ("2 before", "1 before", "itself", "1 after", "2 after", "[CLS]", "[SEP]")
_NEIGHBOURS = tuple(place for place, offset in enumerate(OFFSETS) if offset)
_NAMED = 6
LOOKS_AT = 0.3  # of its attention on one neighbour: a head that looks there


@dataclass(frozen=True, eq=False)
class Attention:
    """Shares of attention, 0 to 1.

    heads    [L, A, K]  of each head
    uniform  [K]        if it averaged over everything
    """

    heads: NDArray[np.float64]
    uniform: NDArray[np.float64]
    sequences: int

    def by_place(self) -> dict[str, list[list[float]]]:
        """For each place a table of layers by heads."""
        return {name: self.heads[:, :, place].tolist() for place, name in enumerate(PLACES)}

    def neighbour_heads(self) -> list[tuple[int, int, str, float]]:
        """Heads that look at a neighbour: layer and head from 1, which neighbour, the share."""
        found = []
        for layer, head in np.ndindex(self.heads.shape[:2]):
            place = max(_NEIGHBOURS, key=lambda place: self.heads[layer, head, place])
            share = float(self.heads[layer, head, place])
            if share >= LOOKS_AT:
                found.append((layer + 1, head + 1, PLACES[place], share))
        return found


@torch.inference_mode()
def measure_attention(bert: Bert, batches: Sequence[PretrainingBatch], sep_id: int) -> Attention:
    """Average the attention probabilities of all heads over the tokens of some batches."""
    bert.eval()
    device = next(bert.parameters()).device
    num_layers, num_heads = bert.config.num_hidden_layers, bert.config.num_attention_heads
    totals = torch.zeros(num_layers, num_heads, len(PLACES), dtype=torch.float64)
    uniform = torch.zeros(len(PLACES), dtype=torch.float64)
    queries = torch.zeros(len(PLACES), dtype=torch.float64)
    for batch in batches:
        inputs = batch.inputs.to(device)
        is_sep = inputs.token_ids == sep_id
        borders = inputs.borders
        for layer, sequences in enumerate(bert.attention_probabilities(inputs)):
            for number, probabilities in enumerate(sequences):
                ends = is_sep[borders[number] : borders[number + 1]]
                totals[layer] += _mass(probabilities, ends).cpu()
        for start, end in pairwise(borders):
            length = end - start
            even = torch.full((1, length, length), 1.0 / length, device=device)
            uniform += _mass(even, is_sep[start:end])[0].cpu()
            queries += torch.tensor([max(length - abs(offset), 0) for offset in OFFSETS] + [length, length])
    queries.clamp_(min=1.0)
    heads = (totals / queries).numpy()
    return Attention(heads, (uniform / queries).numpy(), sum(batch.num_sequences for batch in batches))


def _mass(probabilities: Tensor, is_sep: Tensor) -> Tensor:
    """Attention that goes to each place, summed over the tokens of one sequence.

    probabilities  [A, S, S]
    is_sep         [S]
    returns        [A, K]
    """
    probabilities = probabilities.float()
    places = [probabilities.diagonal(offset, 1, 2).sum(-1) for offset in OFFSETS]
    places += [probabilities[:, :, 0].sum(-1), probabilities[:, :, is_sep].sum((-1, -2))]
    return torch.stack(places, dim=-1)


def attention_finding(attention: Attention, *, alarming: bool, remedy: str) -> Finding:
    """Whether any head looks at the neighbours of a token.

    alarming  the loss says that by now some head should
    remedy    for this run, if none does
    """
    about = "attention to neighbours"
    found = attention.neighbour_heads()
    even = float(attention.uniform[list(_NEIGHBOURS)].mean())
    largest = float(attention.heads[:, :, list(_NEIGHBOURS)].max())
    values = {"neighbour_heads": len(found), "largest_share": largest, "uniform_share": even}
    rows = Rows(("layer.head", *PLACES), tuple(_rows(attention)))
    where = f"over {attention.sequences:,} sequences; averaging over everything gives each neighbour {even:.1%}"
    if found:
        named = ", ".join(f"{layer}.{head} ({place}: {share:.0%})" for layer, head, place, share in found[:_NAMED])
        more = f" and {len(found) - _NAMED} more" if len(found) > _NAMED else ""
        return Finding(
            about,
            Level.GOOD,
            f"{len(found)} of {attention.heads[:, :, 0].size} heads look at a neighbour: {named}{more}; {where}.",
            "The network sees which words stand beside a gap.",
            values=values,
            rows=rows,
        )
    return Finding(
        about,
        Level.WARNING if alarming else Level.NOTE,
        f"No head looks at a neighbour: the largest mean share of one is {largest:.1%}, {where}.",
        "The network sees a bag of words: it knows what the text is about, and not what stands beside a gap.",
        cause="With normal initial values heads begin by averaging over all positions and learn to look slowly; or "
        "steps that were too long destroyed what they could do.",
        remedy=remedy,
        values=values,
        rows=rows,
    )


def _rows(attention: Attention) -> list[tuple[str, ...]]:
    rows = [
        (f"{layer + 1}.{head + 1}", *(f"{share:.1%}" for share in attention.heads[layer, head]))
        for layer, head in np.ndindex(attention.heads.shape[:2])
    ]
    return [*rows, ("averaging", *(f"{share:.1%}" for share in attention.uniform))]
