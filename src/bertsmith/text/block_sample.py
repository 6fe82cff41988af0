"""Which part of a split is read: all of it, or blocks spread evenly over it."""

from collections.abc import Iterator

import numpy as np

from bertsmith.text.token_store import TokenBlock, TokenTable


def spread_blocks(table: TokenTable, max_tokens: int) -> Iterator[TokenBlock]:
    """Blocks that hold some `max_tokens` tokens together, in the order of the text; all blocks if that is enough."""
    count = table.num_blocks
    if table.num_tokens > max_tokens:
        count = max(1, count * max_tokens // table.num_tokens)
    for index in np.linspace(0, table.num_blocks - 1, count).round().astype(int).tolist() if count else []:
        yield table.block(index)
