"""Whether there is text enough, and of the right shape: held-out text, documents, unknown words, epochs, parameters."""

from collections.abc import Iterator

import numpy as np

from bertsmith.diagnosis.finding import Finding, Level, graded
from bertsmith.text.block_sample import spread_blocks
from bertsmith.text.token_store import TokenStore

FEW_TOKENS = 1_000_000  # less text than that hardly carries a pre-training from nothing
FEW_HELD_OUT_TOKENS = 20_000  # 3,000 labels at 15 %: a loss known to about 0.05 nats
SINGLE_SENTENCE_SHARE = 0.5
NOTE_UNKNOWN, WARNING_UNKNOWN = 0.002, 0.01
MANY_EPOCHS = 40  # the paper's own training passed over its text about so often (A.2)
FEW_TOKENS_PER_PARAMETER = 1.0


def store_findings(store: TokenStore, max_tokens: int) -> Iterator[Finding]:
    """What the counts of a store tell. `max_tokens`: how much of it is looked at for the sizes of documents."""
    yield _amount(store)
    yield _held_out(store)
    yield _documents(store, max_tokens)
    yield _unknown_words(store)


def _amount(store: TokenStore) -> Finding:
    tokens = store.train.num_tokens
    measured = f"{tokens:,} tokens in {store.train.num_documents:,} documents to train on."
    values = {"tokens": float(tokens), "documents": float(store.train.num_documents)}
    if tokens >= FEW_TOKENS:
        return Finding("amount of text", Level.GOOD, measured, "Enough for a small network.", values=values)
    return Finding(
        "amount of text",
        Level.NOTE,
        measured,
        "Little to learn a language from: the network will read it many times over.",
        cause="A small corpus.",
        remedy="Add text of the same kind, or start from a model that has read more: `bertsmith pretrain --init`.",
        values=values,
    )


def _held_out(store: TokenStore) -> Finding:
    tokens = store.held_out.num_tokens
    measured = f"{tokens:,} tokens in {store.held_out.num_documents:,} documents are kept from training."
    values = {"held_out_tokens": float(tokens)}
    if tokens >= FEW_HELD_OUT_TOKENS:
        return Finding("held-out text", Level.GOOD, measured, "Enough to score a run on.", values=values)
    return Finding(
        "held-out text",
        Level.NOTE if tokens else Level.WARNING,
        measured,
        "Its loss is known roughly only." if tokens else "Nobody can tell whether a run learns or learns by heart.",
        cause="A small corpus, or --held-out was small or 0.",
        remedy="Prepare the text again with a larger share: `bertsmith prepare ... --held-out 0.05`.",
        values=values,
    )


def _documents(store: TokenStore, max_tokens: int) -> Finding:
    parts = [np.diff(block.document_offsets) for block in spread_blocks(store.train, max_tokens)]
    sentences = np.concatenate([np.zeros(0, np.int64), *parts])
    share, mean = (float((sentences == 1).mean()), float(sentences.mean())) if len(sentences) else (0.0, 0.0)
    measured = f"{share:.0%} of the documents are a single sentence; they have {mean:.1f} sentences on average."
    values = {"single_sentence_share": share, "sentences_per_document": mean}
    if share <= SINGLE_SENTENCE_SHARE:
        return Finding("documents", Level.GOOD, measured, "There is text for sentences to follow in.", values=values)
    return Finding(
        "documents",
        Level.NOTE,
        measured,
        "A sentence alone has no successor, so next sentence prediction has little true text to learn from.",
        cause="Lines were taken for documents, or sentences were not split.",
        remedy="Give `bertsmith prepare` whole documents (--format, --sentences), or train with --no-next-sentence.",
        values=values,
    )


def _unknown_words(store: TokenStore) -> Finding:
    share = float(store.token_counts[store.tokenizer.unk_id] / max(int(store.token_counts.sum()), 1))
    level = graded(share, note_above=NOTE_UNKNOWN, warning_above=WARNING_UNKNOWN)
    measured = f"{share:.2%} of the tokens are [UNK]: characters that the vocabulary has no piece for."
    values = {"unknown_share": share}
    if level is Level.GOOD:
        return Finding("unknown words", level, measured, "The vocabulary fits the text.", values=values)
    return Finding(
        "unknown words",
        level,
        measured,
        "What these words were is lost, in training and in use.",
        cause="A vocabulary of another language or script, or one that dropped rare characters.",
        remedy="Learn a vocabulary from this text (`bertsmith vocab`); for many characters raise its --limit-alphabet.",
        values=values,
    )


def run_finding(store: TokenStore, tokens_seen: int, progress: float, parameters: int) -> Finding:
    """How often a run reads its text, and whether it reads enough for its network.

    progress    share of the training that is done, above 0
    parameters  weights of the network
    """
    so_far = tokens_seen / store.train.num_tokens
    epochs, per_parameter = so_far / progress, tokens_seen / progress / parameters
    measured = (
        f"{tokens_seen:,} tokens read, {so_far:.2f} times the text, and {epochs:.2f} times at the end; "
        f"{parameters:,} weights, {per_parameter:.1f} tokens for each at the end."
    )
    values = {"epochs": so_far, "epochs_at_the_end": epochs, "tokens_per_weight_at_the_end": per_parameter}
    if epochs > MANY_EPOCHS:
        return Finding(
            "text and network",
            Level.NOTE,
            measured,
            "The network reads the same text more often than the paper's did, and begins to learn it by heart.",
            cause="A small corpus for so long a training.",
            remedy="Add text, train shorter (--steps, --hours), or take a smaller --size.",
            values=values,
        )
    if per_parameter < FEW_TOKENS_PER_PARAMETER:
        return Finding(
            "text and network",
            Level.NOTE,
            measured,
            "The network is larger than this training can fill: a smaller one learns more in the same time.",
            cause="A size made for more time or for faster machines.",
            remedy="Take a smaller --size (tiny, mini, small), or train longer.",
            values=values,
        )
    return Finding("text and network", Level.GOOD, measured, "Size, text and time fit each other.", values=values)
