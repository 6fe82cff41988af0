"""The report says what was measured, whichever way it went, and lets no text become markup."""

import re
from dataclasses import replace
from html.parser import HTMLParser

import pytest

from bertsmith.study.comparison import Comparison
from bertsmith.study.report import FilledMask, Findings, Pretraining, Stage, TaskTrial, render

GOOD = Findings(
    made_at="2026-11-23",
    machine="x86_64, 2 threads.",
    seconds=243.0,
    pretraining=Pretraining(
        network="4 layers, 256 wide",
        training=[(0.0, 6.5), (1.0, 5.0), (2.0, 4.4)],
        held_out=[(0.0, 6.4), (1.0, 4.9), (2.0, 4.3)],
        unigram_loss=6.42,
        token_loss=4.3,
        token_accuracy=0.31,
        nsp_accuracy=0.62,
    ),
    trial=TaskTrial(
        title="proofreading",
        description="Were two words swapped?",
        examples=[("An iterator all over nodes.", "swapped")],
        train_examples=2000,
        guessing=0.5,
        word_counts=0.538,
        comparison=Comparison((0.71, 0.70, 0.73), (0.51, 0.53, 0.50), 1000),
    ),
    fills=[FilledMask("Return the size of a [MASK].", "file", [("file", 0.61), ("path", 0.05)])],
    stages=[Stage("Collect", "11.6 MB of prose", 16.0)],
    next_commands="bertsmith vocab my-text/*.txt --out vocabulary",
)
BAD = replace(
    GOOD,
    pretraining=replace(GOOD.pretraining, token_loss=6.40, token_accuracy=0.07),
    trial=replace(GOOD.trial, comparison=Comparison((0.52, 0.50, 0.53), (0.51, 0.53, 0.50), 1000)),
)
HOSTILE = '<script>alert("x")</script> & $title ${content} %s'


class Reader(HTMLParser):
    """Collects the tags, the addresses and the visible text of a page; complains about tags that do not match."""

    VOID = frozenset({"meta", "path", "use", "br"})

    def __init__(self, html):
        super().__init__()
        self.tags, self.addresses, self.text, self._open, self._hidden = [], [], "", [], 0
        self.feed(html)
        assert self._open == []

    def handle_starttag(self, tag, attributes):
        self.tags.append(tag)
        self.addresses += [value for name, value in attributes if name in ("src", "href", "xlink:href")]
        if tag not in self.VOID:
            self._open.append(tag)

    def handle_startendtag(self, tag, attributes):
        self.tags.append(tag)
        self.addresses += [value for name, value in attributes if name in ("src", "href", "xlink:href")]

    def handle_endtag(self, tag):
        if tag not in self.VOID:
            assert self._open.pop() == tag

    def handle_data(self, data):
        if self._open and self._open[-1] not in ("style", "title"):
            self.text += data


def visible(findings):
    return " ".join(Reader(render(findings)).text.split())


def test_a_gain_is_reported_with_every_seed():
    text = visible(GOOD)
    assert "Pre-training helped." in text
    assert "+20.0" in text
    for accuracy in ("71.0%", "70.0%", "73.0%", "51.0%", "53.0%", "50.0%"):
        assert accuracy in text
    assert "below the dashed line: it uses the words around the gap" in text


def test_no_gain_is_reported_as_none():
    text = visible(BAD)
    assert "No measurable gain from pre-training." in text
    assert "Pre-training helped" not in text
    assert "chance alone could explain it" in text
    assert "not clearly below the dashed line" in text
    assert "It needs more time" in text


def test_next_sentence_prediction_at_chance_is_said_to_be_unlearnt():
    assert "not learnt yet" not in visible(GOOD)
    assert "not learnt yet" in visible(replace(GOOD, pretraining=replace(GOOD.pretraining, nsp_accuracy=0.53)))
    without = visible(replace(GOOD, pretraining=replace(GOOD.pretraining, nsp_accuracy=None)))
    assert "does B follow A" not in without
    assert "not learnt yet" not in without


def test_a_loss_is_reported_as_a_loss():
    comparison = Comparison((0.51, 0.53, 0.50), (0.71, 0.70, 0.73), 1000)
    text = visible(replace(GOOD, trial=replace(GOOD.trial, comparison=comparison)))
    assert "Pre-training made it worse." in text


def test_a_simpler_method_that_does_better_is_named():
    assert "a much simpler method would do" not in visible(GOOD)
    assert "a much simpler method would do" in visible(replace(GOOD, trial=replace(GOOD.trial, word_counts=0.8)))


def test_the_page_asks_nothing_of_the_outside():
    html = render(GOOD)
    reader = Reader(html)
    assert all(address.startswith("#") for address in reader.addresses)
    assert not {"script", "link", "img", "iframe", "object"} & set(reader.tags)
    assert "url(" not in re.sub(r"url\(#\w+\)", "", html)
    assert "@import" not in html


def test_plots_follow_the_colours_of_the_page_in_light_and_dark():
    html = render(GOOD)
    assert "prefers-color-scheme: dark" in html
    drawings = re.findall(r"<svg .*?</svg>", html, flags=re.DOTALL)
    assert len(drawings) == 2
    assert not re.findall(r"#[0-9a-f]{6}", "".join(drawings))


@pytest.mark.parametrize("findings", [GOOD, BAD])
def test_equal_findings_give_equal_bytes(findings):
    assert render(findings) == render(findings)


def test_no_text_becomes_markup_or_a_template():
    findings = replace(
        GOOD,
        machine=HOSTILE,
        made_at=HOSTILE,
        pretraining=replace(GOOD.pretraining, network=HOSTILE),
        trial=replace(GOOD.trial, title=HOSTILE, description=HOSTILE, examples=[(HOSTILE, HOSTILE)]),
        fills=[FilledMask(f"{HOSTILE} [MASK] {HOSTILE}", HOSTILE, [(HOSTILE, 0.5)])],
        stages=[Stage(HOSTILE, HOSTILE, 1.0)],
        next_commands=HOSTILE,
    )
    html = render(findings)
    assert "<script" not in html
    assert visible(findings).count(HOSTILE) == 14
