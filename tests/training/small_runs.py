"""A small real store, and settings that train on it in a second."""

from pathlib import Path

import numpy as np

from bertsmith.core.artefact import stage_artefact
from bertsmith.text.token_store_writer import TokenStoreWriter
from bertsmith.text.tokenizer import Tokenizer
from bertsmith.training.configuration import PretrainConfig

WORDS = [f"word{number}" for number in range(200)]
SPECIAL = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]


def make_store(folder: Path, *, documents: int = 40, seed: int = 0, extra_piece: str | None = None) -> Path:
    """A token store of documents of random words, some of them frequent; one document in ten is held out."""
    vocabulary = folder.with_name(f"{folder.name}-vocabulary.txt")
    vocabulary.parent.mkdir(parents=True, exist_ok=True)
    vocabulary.write_text("\n".join([*SPECIAL, *WORDS, *([extra_piece] if extra_piece else [])]) + "\n")
    tokenizer = Tokenizer.load(vocabulary)
    random = np.random.default_rng(seed)
    with stage_artefact(folder, kind="token_store", command="prepare", configuration={}) as staging:
        writer = TokenStoreWriter(staging.folder, tokenizer, held_out=0.1)
        for _ in range(documents):
            lengths = random.integers(2, 12, size=random.integers(2, 8))
            frequent_first = (random.random(lengths.sum()) ** 4 * len(WORDS)).astype(np.int64)
            tokens = len(SPECIAL) + frequent_first
            writer.append_document(tokens, lengths, continues=False)
        writer.close()
    return folder


def write_minimal_pairs(path: Path) -> Path:
    """Pairs of sentences of the store's words."""
    rows = ["phenomenon\tkind\tgood\tbad"]
    rows += [f"order\tswap\tword{n} word{n + 1} word0\tword{n + 1} word{n} word0" for n in range(6)]
    rows += [f"choice\trare\tword0 word{n}\tword0 word{n + 100}" for n in range(4)]
    path.write_text("\n".join(rows) + "\n")
    return path


def make_chain_store(folder: Path, *, documents: int = 400, words: int = 40, held_out: float = 0.1) -> Path:
    """A token store in which the neighbours of a word all but determine it, and nothing else tells anything.

    Word n is followed by word (7 n + 3) mod `words` nine times out of ten, otherwise by any word.
    """
    random = np.random.default_rng(0)

    def sentence() -> list[int]:
        word, chain = int(random.integers(words)), []
        for _ in range(int(random.integers(4, 10))):
            chain.append(word)
            word = (7 * word + 3) % words if random.random() < 0.9 else int(random.integers(words))
        return chain

    return write_store(folder, [[sentence() for _ in range(6)] for _ in range(documents)], held_out=held_out)


# A network of one layer that begins with neighbours in sight; some seconds on `make_chain_store`.
LEARNS_FROM_NEIGHBOURS: dict[str, object] = {
    "model": {
        "initialisation": "neighbour",
        "num_hidden_layers": 1,
        "hidden_size": 64,
        "hidden_dropout": 0.0,
        "attention_dropout": 0.0,
    },
    "data": {"phases": [{"share": 1.0}], "batch_size": 16, "masking_rate": 0.2},
    "training": {"steps": 300, "learning_rate": 4e-3},
    "runtime": {
        "checkpoint_steps": 300,
        "evaluations": 6,
        "evaluation_sequences": 64,
        "precision": "float32",
        "micro_batch_size": 16,
    },
}


def write_store(folder: Path, documents: list[list[list[int]]], *, held_out: float = 0.1) -> Path:
    """A token store of documents given as sentences of numbers of WORDS."""
    vocabulary = folder.with_name(f"{folder.name}-vocabulary.txt")
    vocabulary.parent.mkdir(parents=True, exist_ok=True)
    vocabulary.write_text("\n".join([*SPECIAL, *WORDS]) + "\n")
    with stage_artefact(folder, kind="token_store", command="prepare", configuration={}) as staging:
        writer = TokenStoreWriter(staging.folder, Tokenizer.load(vocabulary), held_out)
        for sentences in documents:
            tokens = np.concatenate(sentences) + len(SPECIAL)
            writer.append_document(tokens, np.array([len(sentence) for sentence in sentences]))
        writer.close()
    return folder


def small_config(store: Path, out: Path, **changes: object) -> PretrainConfig:
    settings = {
        "store": store,
        "out": out,
        "recipe": "tiny",
        "model": {"num_hidden_layers": 2, "hidden_size": 32, "num_attention_heads": 2, "max_positions": 64},
        "data": {
            "max_seq_length": 32,
            "batch_size": 24,
            "phases": [{"share": 0.4}, {"share": 0.3, "masking_rate": 0.3}, {"share": 0.3, "max_seq_length": 64}],
        },
        "training": {"steps": 10, "learning_rate": 1e-2, "warmup_share": 0.1},
        "runtime": {
            "micro_batch_size": 10,
            "checkpoint_steps": 1,
            "keep_checkpoints": 100,
            "log_steps": 1,
            "evaluations": 2,
            "evaluation_sequences": 16,
            "precision": "bfloat16",
            "threads": 1,
        },
    }
    return PretrainConfig.from_layers(settings, changes)
