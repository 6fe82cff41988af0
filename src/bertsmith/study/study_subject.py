"""What a study compared, in words, from its cells: the networks, what they learnt from and how, the tasks."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from typing import Any

from bertsmith.model.configuration import SIZES
from bertsmith.study.cell import Cell


def subject(cells: Sequence[Cell], text: Mapping[str, str]) -> Iterator[tuple[str, str]]:
    """Name and words of everything that decides what the numbers mean; with the variants, where they differ.

    cells  the finished ones, at least one
    text   what they all read, by name
    """
    yield "network", told(cells, _network)
    yield "initial weights", told(cells, lambda cell: cell.start or cell.settings["model"]["initialisation"])
    yield "learns to tell", told(cells, _objective)
    if masked := [cell for cell in cells if not tells_next_words(cell)]:
        yield "hidden", told(masked, _mixture)
    yield "sequences", told(cells, _sequences)
    yield "optimiser", told(cells, _optimiser)
    yield "length", told(cells, _length)
    yield from text.items()
    yield "seeds of pre-training", told(cells, lambda cell: _seeds(cells, cell))
    if trained := [cell for cell in cells if cell.precision]:
        yield "processor", told(trained, processor)
    for trial in cells[0].settings["tasks"]:
        yield _key(trial), told(cells, partial(_trial, trial))
    if any(cell.settings["finetuning"] for cell in cells):
        yield "fine-tuning", told(cells, lambda cell: ", ".join(_flat(cell.settings["finetuning"])) or "as above")


def told(cells: Sequence[Cell], describe: Callable[[Cell], str]) -> str:
    """What all cells have in common, or every description with the variants that it is of."""
    variants: dict[str, dict[str, None]] = {}
    for cell in cells:
        variants.setdefault(describe(cell), {})[cell.variant] = None
    if len(variants) == 1:
        return next(iter(variants))
    return "; ".join(f"{description} ({', '.join(names)})" for description, names in variants.items())


def tells_next_words(cell: Cell) -> bool:
    """Whether its loss is that of the next word, and not that of hidden ones."""
    data: Mapping[str, Any] = cell.settings.get("data", {})
    return data.get("objective") == "next"


def processor(cell: Cell) -> str:
    """What decided the speed, beside the machine."""
    return f"{cell.threads} thread{'s' if cell.threads > 1 else ''}, {cell.precision}"


def _network(cell: Cell) -> str:
    model = cell.settings["model"]
    if model["network"] == "elmo":
        return f"elmo, about as large as {model['size']}"
    usual = SIZES[model["size"]]
    names = ("num_hidden_layers", "hidden_size", "num_attention_heads")
    layers, width, heads = (model[name] or size for name, size in zip(names, usual, strict=True))
    return f"{cell.graph or model['network']}, {layers} layers of {width} with {heads} heads"


def _objective(cell: Cell) -> str:
    words = "next words" if tells_next_words(cell) else "hidden words"
    return f"{words} and next sentences" if cell.settings["data"]["next_sentence"] else words


def _mixture(cell: Cell) -> str:
    data = cell.settings["data"]
    shown = {"masks": data["mask_share"], "random pieces": data["random_share"]}
    shown["the pieces themselves"] = 1 - sum(shown.values())
    mixture = ", ".join(f"{share:.0%} {what}" for what, share in shown.items() if share > 0.001)
    return f"{data['masking_rate']:.0%} of the pieces, shown as {mixture}"


def _sequences(cell: Cell) -> str:
    data = cell.settings["data"]
    phases = f", in {len(data['phases'])} phases" if len(data["phases"]) > 1 else ""
    return f"up to {data['max_seq_length']} tokens, {data['batch_size']} in a batch{phases}"


def _optimiser(cell: Cell) -> str:
    training = cell.settings["training"]
    dropout = cell.settings["model"]["hidden_dropout"]
    return f"{training['optimiser']}, learning rate {training['learning_rate']:g}, dropout {dropout:g}"


def _length(cell: Cell) -> str:
    if not cell.curve:
        return "no pre-training"
    hours = cell.settings["training"]["hours"]
    tokens = "" if hours is not None else f", {cell.tokens / 1e6:.1f} million tokens"
    planned = f"{60 * hours:g} minutes" if hours is not None else f"{cell.settings['training']['steps']:,} steps"
    return f"{planned}{tokens}"


def _seeds(cells: Sequence[Cell], one: Cell) -> str:
    return ", ".join(str(cell.seed) for cell in cells if cell.variant == one.variant)


def _key(trial: Mapping[str, Any]) -> str:
    name = trial["name"] or trial["task"]
    return name if trial["way"] is None else f"{name}, {trial['way']}"


def _trial(trial: Mapping[str, Any], cell: Cell) -> str:
    """How many examples, and the settings of its fine-tuning."""
    examples = cell.tasks[_key(trial)].examples
    sizes = [f"{count:,} {part.replace('_', ' ')} examples" for part, count in examples.items()]
    return ", ".join([*sizes, f"{trial['seeds']} fine-tunings", *_flat(trial["settings"])])


def _flat(settings: Mapping[str, Any]) -> Iterator[str]:
    for name, value in settings.items():
        if isinstance(value, Mapping):
            yield from _flat(value)
        else:
            shown = ", ".join(map(str, value)) if isinstance(value, list | tuple) else f"{value}"
            yield f"{name.replace('_', ' ')} {shown}"
