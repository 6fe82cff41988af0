"""Texts to vectors, by a network that does not change any more.

A text that is too long for one input is read in windows that overlap; the vector of each token comes from the window in
which it has most context (`tasks.windows`), so no token is lost and none is there twice.

Legend: n tokens of a text, U units (tokens or words) of it, T tokens of a batch, D width of a vector.
"""

from collections.abc import Sequence
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
from bertsmith.model.bilstm_for_tasks import Encoder, new_encoder
from bertsmith.model.folder import load_any_config, resolve_model_folder
from bertsmith.model.weight_loading import load_weights
from bertsmith.tasks.inference import InferenceSettings
from bertsmith.tasks.windows import Places, Window, windows
from bertsmith.text.tokenizer import Tokenizer

Unit = Literal["token", "word", "text"]
Pooling = Literal["first", "mean", "cls"]
DEFAULT_POOLING: dict[Unit, Pooling] = {"token": "first", "word": "first", "text": "mean"}
_POOLINGS: dict[Unit, tuple[Pooling, ...]] = {"token": ("first",), "word": ("first", "mean"), "text": ("mean", "cls")}


class TextFeatures(NamedTuple):
    """The vectors of one text and where they come from.

    offsets  [U, 2]  int32: unit u is the characters offsets[u, 0]:offsets[u, 1] of the text
    vectors  [U, D]  float32
    """

    offsets: npt.NDArray[np.int32]
    vectors: npt.NDArray[np.float32]


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
    pooling         word: its first piece, or the mean of its pieces; text: the mean of its tokens, or [CLS]
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
        tokenizer = Tokenizer.load(folder)
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

    def features(self, texts: Sequence[str]) -> list[TextFeatures]:
        """The features of each text, in the order given. A text without a token has no token and no word."""
        encoded = self.tokenizer.encode_with_offsets(texts)
        tokens = self._token_vectors([ids for ids, _ in encoded])
        return [
            self._units(text, ids, offsets, vectors)
            for text, (ids, offsets), vectors in zip(texts, encoded, tokens, strict=True)
        ]

    @torch.inference_mode()
    def _token_vectors(self, texts: Sequence[npt.NDArray[np.int32]]) -> list[npt.NDArray[np.float32]]:
        """[1 + n, D] of each text: of [CLS] in its first window, and of its tokens. Windows of a length go together."""
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
        """What is read of a text. Places count from its [CLS], which the first window gives."""
        room = self.max_seq_length - 2
        cls, sep = [self.tokenizer.cls_id], [self.tokenizer.sep_id]
        read = []
        empty = Window(0, 0, np.arange(0))  # of a text without a token
        for begin, end, asked in windows([1] * len(ids), room, stride=max(1, room // 2)) or [empty]:
            places, positions = 1 + asked, 1 + asked - begin
            if begin == 0:
                places, positions = np.append(0, places), np.append(0, positions)
            token_ids = np.concatenate([cls, ids[begin:end], sep]).astype(np.int64)
            read.append(_Input(number, token_ids, places, positions))
        return read

    def _units(
        self,
        text: str,
        ids: npt.NDArray[np.int32],
        offsets: npt.NDArray[np.int32],
        vectors: npt.NDArray[np.float32],
    ) -> TextFeatures:
        """Tokens to what was asked for. offsets [n, 2], vectors [1 + n, D] with that of [CLS] first."""
        if self.unit == "text":
            whole = np.array([[0, len(text)]], dtype=np.int32)
            is_first = self.pooling == "cls" or not len(ids)
            return TextFeatures(whole, vectors[:1] if is_first else vectors[1:].mean(axis=0, keepdims=True))
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
