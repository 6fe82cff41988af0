"""Texts to vectors, by a network that does not change any more.

A text that is too long for one input is read in windows that overlap; the vector of each token comes from the window in
which it has most context (`tasks.windows`), so no token is lost and none is there twice. Of many texts only some are in
memory as vectors at a time (`parts`).

Legend: n tokens of a text, U units (tokens or words) of it, T tokens of a batch, D width of a vector.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, NamedTuple

import numpy as np
import numpy.typing as npt
import torch

from bertsmith.batches.flat_batch import FlatBatch
from bertsmith.batches.token_budget import BATCH_TOKENS, within_tokens
from bertsmith.core.errors import ConfigurationError
from bertsmith.frozen_features.layer_choice import LayerChoice
from bertsmith.model.bert import Bert
from bertsmith.model.bilstm_for_tasks import Encoder, new_encoder
from bertsmith.model.elmo_language_model import ElmoOnPieces
from bertsmith.model.folder_configuration import load_any_config, load_tokenizer, resolve_model_folder
from bertsmith.model.gpt import Gpt
from bertsmith.model.weight_loading import load_weights
from bertsmith.tasks.inference import InferenceSettings
from bertsmith.tasks.windows import Places, Window, windows
from bertsmith.text.tokenizer import Tokenizer

Unit = Literal["token", "word", "text"]
Pooling = Literal["first", "mean", "cls"]
DEFAULT_POOLING: dict[Unit, Pooling] = {"token": "first", "word": "first", "text": "mean"}
_POOLINGS: dict[Unit, tuple[Pooling, ...]] = {"token": ("first",), "word": ("first", "mean"), "text": ("mean", "cls")}

# What is held at a time: texts before they are pieces, and the vectors of their tokens. One text is always held whole.
_MOST_TEXTS, _MOST_CHARACTERS, _MOST_BYTES = 512, 1 << 20, 1 << 28


class TextFeatures(NamedTuple):
    """The vectors of one text and where they come from.

    offsets  [U, 2]  int32: unit u is the characters offsets[u, 0]:offsets[u, 1] of the text
    vectors  [U, D]  float32
    """

    offsets: npt.NDArray[np.int32]
    vectors: npt.NDArray[np.float32]


class EncodedText(NamedTuple):
    """A text and its n tokens.

    ids      [n]     int32
    offsets  [n, 2]  int32
    """

    text: str
    ids: npt.NDArray[np.int32]
    offsets: npt.NDArray[np.int32]


@dataclass(frozen=True, eq=False)
class _Input:
    """What the network reads at once: `asked` are places of tokens in text number `text`, at `positions` here."""

    text: int
    token_ids: npt.NDArray[np.int64]
    asked: Places
    positions: Places


class FeatureExtractor:
    """A frozen encoder.

    >>> extractor = FeatureExtractor.load(Path("run"), LayerChoice(layers=("last",)), unit="word")
    >>> extractor.features(["Ann lives in Paris."])[0].vectors.shape

    unit            token: each piece; word: what the tokenizer takes for a word, punctuation apart; text: the whole
    pooling         word: its first piece, or the mean of its pieces; text: the mean of its tokens, or cls: the [CLS] of
                    its first window, or the [SEP] there of a network from left to right, whose [CLS] sees nothing
    max_seq_length  longest input in tokens, [CLS] and [SEP] included; default: what the network has positions for
    raises          ConfigurationError for layers, pooling or a length that do not go with the network
    """

    def __init__(
        self,
        network: Encoder,
        tokenizer: Tokenizer,
        choice: LayerChoice | None = None,
        *,
        unit: Unit = "token",
        pooling: Pooling | None = None,
        max_seq_length: int | None = None,
        batch_tokens: int = BATCH_TOKENS,
    ):
        self.network = network
        self.tokenizer = tokenizer
        self.choice = choice or LayerChoice()
        self.unit = unit
        self.pooling = pooling or DEFAULT_POOLING[unit]
        self.batch_tokens = batch_tokens
        positions = network.config.max_position_embeddings
        self.max_seq_length = max_seq_length or positions
        if self.max_seq_length > positions:
            raise ConfigurationError(
                f"--max-seq-length {max_seq_length} is more than the {positions} positions of the network. Lower it."
            )
        if self.pooling not in _POOLINGS[unit]:
            raise ConfigurationError(
                f"--pooling {pooling} is not for a {unit}; it takes {' or '.join(_POOLINGS[unit])}."
            )
        if self.pooling == "cls" and isinstance(network, ElmoOnPieces):
            raise ConfigurationError(
                "--pooling cls is not for an ELMo: none of its tokens has seen a whole text. Each direction sees what "
                "is on one side, so half of the vector at [CLS] is the same for every text. Give --pooling mean."
            )
        self.layers = self.choice.numbers(network.config.num_hidden_layers)

    @classmethod
    def load(
        cls,
        folder: Path,
        choice: LayerChoice | None = None,
        *,
        unit: Unit = "token",
        pooling: Pooling | None = None,
        max_seq_length: int | None = None,
        settings: InferenceSettings | None = None,
    ) -> "FeatureExtractor":
        """Any encoder, a BERT, a GPT or an ELMo: what `pretrain` or `finetune` wrote, or Hugging Face's folder."""
        folder = resolve_model_folder(Path(folder))
        settings = settings or InferenceSettings()
        tokenizer = load_tokenizer(folder)
        network = new_encoder(load_any_config(folder), tokenizer)
        load_weights(network, folder)
        settings.place(network)
        return cls(
            network,
            tokenizer,
            choice,
            unit=unit,
            pooling=pooling,
            max_seq_length=max_seq_length,
            batch_tokens=settings.batch_tokens,
        )

    @property
    def width(self) -> int:
        """D."""
        return self.choice.width(self.network.config.num_hidden_layers, self.network.config.state_size)

    def features(self, texts: Iterable[str]) -> list[TextFeatures]:
        """The features of each text, in the order given. A text without a token has no token and no word."""
        return [made for part in self.parts(texts) for made in self.features_of(part)]

    def parts(self, texts: Iterable[str]) -> Iterator[list[EncodedText]]:
        """The texts in their order, as many together as may be held as vectors of their tokens; one at least."""
        tokens_held = max(self.batch_tokens, _MOST_BYTES // (self.width * np.dtype(np.float32).itemsize))
        least = _MOST_CHARACTERS // _MOST_TEXTS  # that a text counts for, so that not too many are read together
        for some in within_tokens(texts, lambda text: max(len(text), least), _MOST_CHARACTERS):
            encoded = zip(some, self.tokenizer.encode_with_offsets(some), strict=True)
            one_by_one = (EncodedText(text, ids, offsets) for text, (ids, offsets) in encoded)
            yield from within_tokens(one_by_one, lambda one: 1 + len(one.ids), tokens_held)

    def features_of(self, part: Sequence[EncodedText]) -> list[TextFeatures]:
        """The features of texts that are read together; the vectors of all of their tokens are held."""
        vectors = self._token_vectors([one.ids for one in part])
        return [self._units(one, of_tokens) for one, of_tokens in zip(part, vectors, strict=True)]

    @torch.inference_mode()
    def _token_vectors(self, texts: Sequence[npt.NDArray[np.int32]]) -> list[npt.NDArray[np.float32]]:
        """[1 + n, D] of each text: of the token that sums it up, and of its own. Windows of a length go together."""
        vectors = [np.empty((1 + len(ids), self.width), dtype=np.float32) for ids in texts]
        read = [window for number, ids in enumerate(texts) for window in self._windows(number, ids)]
        read.sort(key=lambda window: len(window.token_ids))
        device = next(self.network.parameters()).device
        for batch in within_tokens(read, lambda window: len(window.token_ids), self.batch_tokens):
            ids = [window.token_ids for window in batch]
            inputs = FlatBatch.from_sequences(ids, [np.zeros_like(row) for row in ids])
            states = self.network.states_of(inputs.to(device), self.layers)
            made = self.choice.combined(states).cpu().numpy()  # [T, D]
            for window, first in zip(batch, inputs.borders, strict=False):
                vectors[window.text][window.asked] = made[first + window.positions]
        return vectors

    def _windows(self, number: int, ids: npt.NDArray[np.int32]) -> list[_Input]:
        """What is read of a text. Its place 0 is what sums it up: [CLS], or [SEP], of the first window."""
        room = self.max_seq_length - 2
        cls, sep = [self.tokenizer.cls_id], [self.tokenizer.sep_id]
        read = []
        empty = Window(0, 0, np.arange(0))  # of a text without a token
        for begin, end, asked in windows([1] * len(ids), room, stride=max(1, room // 2)) or [empty]:
            places, positions = 1 + asked, 1 + asked - begin
            if begin == 0:
                summary = 1 + end if self._reads_left_to_right else 0
                places, positions = np.append(0, places), np.append(summary, positions)
            token_ids = np.concatenate([cls, ids[begin:end], sep]).astype(np.int64)
            read.append(_Input(number, token_ids, places, positions))
        return read

    @property
    def _reads_left_to_right(self) -> bool:
        network = self.network
        return isinstance(network, Gpt) or (isinstance(network, Bert) and network.config.is_decoder)

    def _units(self, one: EncodedText, vectors: npt.NDArray[np.float32]) -> TextFeatures:
        """Tokens to what was asked for. vectors [1 + n, D], that of the whole first."""
        text, ids, offsets = one
        if self.unit == "text":
            whole = np.array([[0, len(text)]], dtype=np.int32)
            if self.pooling == "cls" or not len(ids):
                return TextFeatures(whole, vectors[:1].copy())  # a view would keep those of all tokens
            return TextFeatures(whole, vectors[1:].mean(axis=0, keepdims=True))
        if self.unit == "token" or not len(ids):
            return TextFeatures(offsets, vectors[1:])
        starts = np.flatnonzero(self.tokenizer.starts_word[ids] | (np.arange(len(ids)) == 0))  # [U]
        ends = np.append(starts[1:], len(ids))
        borders = np.stack([offsets[starts, 0], offsets[ends - 1, 1]], axis=1)
        if self.pooling == "first":
            return TextFeatures(borders, vectors[1 + starts])
        means = np.add.reduceat(vectors[1:], starts, axis=0)
        means /= (ends - starts)[:, None]
        return TextFeatures(borders, means)
