"""The README.md of a pre-trained model folder: what it is, from what, how good, how to use it."""

from bertsmith.batches.configuration import BatchSettings
from bertsmith.model.bilstm_for_tasks import EncoderConfig
from bertsmith.text.token_store import TokenStore
from bertsmith.training.checkpoint import TrainingState
from bertsmith.training.configuration import PretrainConfig
from bertsmith.training.evaluation import HeldOutScores
from bertsmith.training.run import Run

_CARD = """\
---
library_name: transformers
pipeline_tag: {pipeline}
tags: [{tags}, bertsmith]
---
# {name}

{what} {parameters:,} parameters: {layers} layers, states {width} wide, {vocabulary:,} pieces.

| | |
|---|---|
| text | {documents:,} documents, {tokens:,} tokens (token store {store}) |
| trained for | {steps:,} steps, {tokens_seen:,} tokens, {minutes:.1f} minutes on {precision} weights |
| recipe | {recipe}, initialisation {initialisation}, seed {seed} |
{phases}{scores}
Every setting is in `manifest.json`, with the fingerprints of the token store and the vocabulary.

```python
{use}
```

Limits: it knows what its text says, with the biases of that text, and nothing after it.
"""


def model_card(
    run: Run,
    network: EncoderConfig,
    store: TokenStore,
    state: TrainingState,
    scores: HeldOutScores | None,
    parameters: int,
) -> str:
    """Markdown with the metadata that model hubs read."""
    return _CARD.format(
        name=run.folder.name,
        **_kind(run.config),
        parameters=parameters,
        layers=network.num_hidden_layers,
        width=network.state_size,
        vocabulary=network.vocab_size,
        documents=store.train.num_documents,
        tokens=store.train.num_tokens,
        store=store.fingerprint[:16],
        steps=state.position.steps_done,
        tokens_seen=state.tokens_seen,
        minutes=state.position.elapsed_seconds / 60,
        precision=run.precision,
        recipe=run.config.recipe or "none",
        initialisation=run.config.model.initialisation if run.config.init is None else f"from {run.config.init.name}",
        seed=run.config.seed,
        phases=_phase_rows(run.config.data),
        scores=_score_rows(scores),
    )


def _kind(config: PretrainConfig) -> dict[str, str]:
    """What differs from one kind of network to another."""
    begin = "from scratch" if config.init is None else f"on from {config.init.name}"
    if config.data.objective == "masked":
        task, tag = "", ""
        if config.data.next_sentence:
            task, tag = " and next sentence prediction", ", next-sentence-prediction"
        return {
            "pipeline": "fill-mask",
            "tags": f"bert, masked-language-model{tag}",
            "what": f"A BERT encoder, pre-trained {begin} by bertsmith with the masked language model{task}\n"
            f"(Devlin et al. 2019).",
            "use": 'from transformers import pipeline\npipeline("fill-mask", "path/to/this/folder")("... [MASK] ...")',
        }
    if config.model.network == "elmo":
        return {
            "pipeline": "feature-extraction",
            "tags": "elmo, language-model",
            "what": f"An ELMo, pre-trained {begin} by bertsmith to tell the next and the previous word\n"
            "(Peters et al. 2018).",
            "use": "from bertsmith import FeatureExtractor\n"
            "FeatureExtractor.load('path/to/this/folder').features(['...'])",
        }
    if config.model.network == "gpt":
        name, paper, model_class = "A GPT", "Radford et al. 2018", "OpenAIGPTLMHeadModel"
    else:
        name, paper, model_class = "A BERT that reads from left to right only", "Devlin et al. 2019, 5.1", "BertModel"
    return {
        "pipeline": "text-generation" if config.model.network == "gpt" else "feature-extraction",
        "tags": f"{config.model.network}, causal-language-model",
        "what": f"{name}, pre-trained {begin} by bertsmith to tell the next piece ({paper}).",
        "use": f'from transformers import {model_class}\n{model_class}.from_pretrained("path/to/this/folder")',
    }


def _phase_rows(data: BatchSettings) -> str:
    """What batches held, a row for each phase of the training."""
    rows = ""
    for number, phase in enumerate(data.phases):
        name = "batch" if len(data.phases) == 1 else f"batch, phase {number + 1} ({100 * phase.share:g} %)"
        rows += f"| {name} | {data.batch_size_of(number)} sequences of {data.length_of(number)} tokens at most"
        rows += f", {100 * data.masking_rate_of(number):g} % to guess |\n" if data.objective == "masked" else " |\n"
    return rows


def _score_rows(scores: HeldOutScores | None) -> str:
    if scores is None:
        return "| held-out scores | none: the store holds no held-out text |\n"
    rows = f"| held-out text | loss {scores.token_loss:.3f} nats, accuracy {scores.token_accuracy:.1%}, "
    rows += f"perplexity {scores.perplexity:.1f} |\n"
    if scores.nsp_accuracy is not None:
        rows += f"| held-out next sentence | accuracy {scores.nsp_accuracy:.1%} |\n"
    return rows
