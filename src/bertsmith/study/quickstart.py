"""The verb `quickstart`: the whole chain on text that every Python ships, in five minutes on two cores.

docstrings -> vocabulary -> token store -> a small BERT -> fine-tuned on a task, beside the same network untrained

What a stage makes is there whole or not at all, so a quickstart that was stopped goes on by the same command: stages
whose folders are there are passed, pre-training and fine-tuning go on where they were.
"""

import datetime
import platform
import tempfile
from collections.abc import Mapping, Sequence
from importlib import metadata
from pathlib import Path
from typing import Any, Literal

import torch
from pydantic import Field
from pydantic_core import to_json

from bertsmith.core.artefact import read_manifest, require_free
from bertsmith.core.configuration import Settings
from bertsmith.core.console import console
from bertsmith.core.errors import StoppedBySignal
from bertsmith.core.randomness import generator
from bertsmith.model.configuration import BertConfig
from bertsmith.model.folder_configuration import load_config
from bertsmith.study.comparison import Comparison
from bertsmith.study.documentation_data import QuickstartData
from bertsmith.study.quickstart_folder import accuracies, collected, pretrained, take_folder, write_whole
from bertsmith.study.report import FilledMask, Findings, Pretraining, TaskTrial, render
from bertsmith.study.stages import StageLog
from bertsmith.study.word_order import word_count_accuracy
from bertsmith.tasks.filling import FillConfig, fill
from bertsmith.tasks.finetuning_settings import FinetuneConfig, FinetuneTrainingSettings
from bertsmith.tasks.input_limits import InputLimits
from bertsmith.tasks.task_data import TaskDataSettings
from bertsmith.text.pieces import MASK
from bertsmith.text.preparation import PrepareConfig, prepare
from bertsmith.text.token_store import TokenStore
from bertsmith.text.vocabulary import VocabConfig, vocab
from bertsmith.training.configuration import PretrainConfig
from bertsmith.training.metrics_log import read_metrics
from bertsmith.training.plateau import held_out_losses
from bertsmith.training.run import only_writer

VOCABULARY_SIZE = 8_192
FILLED_SENTENCES = 6
REPORT = "report.html"
RESULTS = "results.json"  # the same findings for machines
_SECONDS = "seconds.json"  # of each stage

NEXT_COMMANDS = """\
bertsmith vocab    my-text/*.txt --out vocabulary
bertsmith prepare  my-text/*.txt --vocab vocabulary --out store
bertsmith pretrain store --recipe lunch --out run
bertsmith fill     run "What belongs [MASK]?"
bertsmith finetune run --train labelled.csv --text text --label label --out classifier
bertsmith predict  classifier new.txt"""


class QuickstartConfig(Settings):
    """Run the whole chain on text that Python ships."""

    out: Path = Field(Path("quickstart"), description="new folder for everything that is made, the report among it")
    minutes: float = Field(2.0, gt=0, description="minutes of pre-training; all the rest takes about two more")
    seeds: int = Field(3, ge=1, description="fine-tuning runs from each of the two starts")
    seed: int = Field(0, ge=0, description="seed of everything random")
    dry_run: bool = Field(False, description="pass every stage with as little as possible, keep nothing")


def quickstart(config: QuickstartConfig) -> Path:
    """Run the chain, or go on with one that was stopped; returns the report, an HTML page."""
    if config.dry_run:
        require_free(config.out)
        return _rehearse(config)
    take_folder(config.out, config.model_dump(mode="json", exclude={"out", "dry_run"}))
    report = config.out / REPORT
    if report.exists():
        console.print(f"This quickstart was done before. Its report is {report}.", soft_wrap=True)
        return report
    with only_writer(config.out):
        try:
            return _run_chain(config)
        except (KeyboardInterrupt, StoppedBySignal):
            raise StoppedBySignal(
                f"Stopped. What is done is kept in {config.out}; the same command goes on with it."
            ) from None


def _run_chain(config: QuickstartConfig) -> Path:
    """All stages, but for what is there of them."""
    out, log = config.out, StageLog(config.out / _SECONDS, total=7)

    with log.stage("Collect what Python ships with") as made:
        data = collected(out / "data", config.seed)
        made(_describe_text(data))

    with log.stage("Learn a vocabulary") as made:
        vocabulary = out / "vocabulary"
        if not vocabulary.exists():
            vocab(VocabConfig(inputs=(str(data.text),), size=VOCABULARY_SIZE, out=vocabulary))
        made(f"{VOCABULARY_SIZE:,} pieces of words")

    with log.stage("Prepare the text") as made:
        if not (out / "store").exists():
            prepare(PrepareConfig(inputs=(str(data.text),), vocab=vocabulary, out=out / "store"))
        store = TokenStore.open(out / "store")
        made(f"{store.train.num_tokens:,} tokens in {store.train.num_sentences:,} sentences")

    with log.stage("Pre-train") as made:
        run = pretrained(pretraining_settings(config, store.folder))
        network = load_config(BertConfig, run.model)
        facts = read_manifest(run.model, "model").facts
        made(f"{_describe(network)}: {facts['steps']:,} steps, {facts['tokens_seen']:,} tokens")

    with log.stage("Fine-tune, with and without pre-training") as made:
        with_it = accuracies(finetuning_settings(config, run.model, data, out / "finetuned"))
        without = accuracies(finetuning_settings(config, run.model, data, out / "untrained", "random"))
        comparison = Comparison(with_it, without, len(data.dev))
        made(
            f"{2 * config.seeds} runs on {len(data.train):,} examples; {100 * comparison.gain:+.1f} points of accuracy"
        )

    with log.stage("Fill in hidden words") as made:
        fills = fill_hidden_words(run.model, store, data.unread_sentences, config.seed)
        right = sum(filled.hidden_word == filled.guesses[0][0] for filled in fills)
        made(f"{right} of {len(fills)} right at the first guess")

    with log.stage("Write the report") as made:
        findings = Findings(
            made_at=datetime.date.today().isoformat(),
            machine=_machine(run.precision),
            seconds=log.seconds,
            pretraining=describe_pretraining(run.folder, network, facts),
            trial=_trial(data, comparison),
            fills=fills,
            stages=log.stages,
            next_commands=NEXT_COMMANDS,
        )
        (out / RESULTS).write_bytes(to_json(findings, indent=2) + b"\n")
        write_whole(out / REPORT, render(findings))
        made("one HTML page: open it in a browser")
    console.print(f"{comparison.outcome.value}. {comparison.in_words()}", style="bold", markup=False, soft_wrap=True)
    return out / REPORT


def pretraining_settings(config: QuickstartConfig, store: Path) -> PretrainConfig:
    """The recipe `quickstart`, for as long as was asked."""
    return PretrainConfig.from_layers(
        {
            "recipe": "quickstart",
            "store": store,
            "out": config.out / "run",
            "seed": config.seed,
            "training": {"hours": config.minutes / 60},
        }
    )


def finetuning_settings(
    config: QuickstartConfig,
    model: Path,
    data: QuickstartData,
    out: Path,
    initialisation: Literal["pretrained", "random"] = "pretrained",
) -> FinetuneConfig:
    """The same for both starts: what differs is the initial weights."""
    return FinetuneConfig(
        model=model,
        out=out,
        seed=config.seed,
        seeds=config.seeds,
        initialisation=initialisation,
        task_data=TaskDataSettings(data=data.task),
        inputs=InputLimits(max_seq_length=64),
        training=FinetuneTrainingSettings(learning_rate=3e-4, epochs=4, batch_size=16, dropout=0.0),
    )


def fill_hidden_words(model: Path, store: TokenStore, pool: Sequence[str], seed: int) -> list[FilledMask]:
    """Hide a word of sentences drawn by lot, and let the model guess: three letters or more, one piece."""
    rng = generator(seed, "quickstart/hidden words")
    words = {piece for piece in store.tokenizer.pieces if piece.isalpha()}
    hidden: list[tuple[str, str]] = []
    for index in rng.permutation(len(pool)):
        tokens = pool[index].split(" ")
        places = [place for place in range(1, len(tokens) - 1) if len(tokens[place]) >= 3 and tokens[place] in words]
        if not places or len(tokens) > 16:
            continue
        place = int(rng.choice(places))
        hidden.append((" ".join([*tokens[:place], MASK, *tokens[place + 1 :]]), tokens[place]))
        if len(hidden) == FILLED_SENTENCES:
            break
    filled = fill(FillConfig(model=model, texts=tuple(text for text, _ in hidden), top=3))
    return [
        FilledMask(text, word, [(candidate.piece, candidate.probability) for candidate in result.masks[0]])
        for (text, word), result in zip(hidden, filled.texts, strict=True)
    ]


def describe_pretraining(run: Path, network: BertConfig, facts: Mapping[str, Any]) -> Pretraining:
    """The run's curves and scores, and the floor that they are compared with.

    facts  of its model's manifest; the text has thousands of documents, so some are held out
    """
    training, scored = curves_over_minutes(run)
    held_out = facts["held_out"]
    return Pretraining(
        network=_describe(network),
        training=training,
        held_out=scored,
        unigram_loss=facts["unigram_loss"],
        token_loss=held_out["token_loss"],
        token_accuracy=held_out["token_accuracy"],
        nsp_accuracy=held_out["nsp_accuracy"],
    )


def curves_over_minutes(run: Path) -> tuple[list[tuple[float, float]], list[tuple[float, float]]]:
    """Training and held-out masked-LM loss of a run, each over minutes of training."""
    records = read_metrics(run)
    training = [
        (record["train"]["elapsed_seconds"] / 60, record["train"]["token_loss"])
        for record in records
        if "train" in record
    ]
    return training, [(loss.minutes, loss.token_loss) for loss in held_out_losses(records)]


def _rehearse(config: QuickstartConfig) -> Path:
    """Pass every stage with seconds of training, in a folder that is thrown away."""
    with tempfile.TemporaryDirectory(prefix="bertsmith-dry-run-") as folder:
        short = {"out": Path(folder) / "quickstart", "minutes": 0.05, "seeds": 1, "dry_run": False}
        short_config = config.model_copy(update=short)
        short_config.out.mkdir()
        _run_chain(short_config)
    console.print(f"Dry run: every stage passed. {config.out} was not written.", soft_wrap=True)
    return config.out / REPORT


def _trial(data: QuickstartData, comparison: Comparison) -> TaskTrial:
    return TaskTrial(
        title="proofreading",
        description=(
            "Did somebody swap two neighbouring words of this sentence? Counting words does not tell: both kinds of "
            "sentences have the same words. One has to know how such sentences go, and that is what reading teaches."
        ),
        examples=[(example.text, example.label) for example in data.dev[:4]],
        train_examples=len(data.train),
        guessing=0.5,
        word_counts=word_count_accuracy(data.train, data.dev),
        comparison=comparison,
    )


def _describe_text(data: QuickstartData) -> str:
    counts = data.counts
    return (
        f"{counts.characters / 1e6:.1f} MB of prose, {counts.words:,} words, from {counts.docstrings:,} docstrings of "
        f"the standard library and {len(data.libraries) - 1} others; {counts.repeated_paragraphs:,} repeats left out"
    )


def _describe(network: BertConfig) -> str:
    return f"{network.num_hidden_layers} layers, {network.hidden_size} wide"


def _machine(precision: str) -> str:
    versions = f"Python {platform.python_version()}, torch {metadata.version('torch')}"
    return f"{platform.machine()}, {torch.get_num_threads()} threads, {precision}, {versions}."
