"""Where a loss stands, as a finding: on the plateau, past it, back on it, or above everything."""

import pytest
from small_runs import small_config

from bertsmith.diagnosis.finding import Level
from bertsmith.diagnosis.plateau import plateau_finding
from bertsmith.diagnosis.text_entropy import TextEntropy
from bertsmith.training.plateau import HeldOutLoss

ENTROPY = TextEntropy(7.2, 5.67, 4.37, 0.06, 7000, 46_000_000)


def examine(tmp_path, losses, progress=1.0, entropy=ENTROPY, **changes):
    points = [HeldOutLoss(100 * number, float(number), loss) for number, loss in enumerate(losses)]
    return plateau_finding(small_config(tmp_path, tmp_path, **changes), points, 7.2, entropy, progress)


def test_a_network_past_the_plateau_is_good_and_the_step_is_named(tmp_path):
    finding = examine(tmp_path, [10.4, 6.1, 5.6, 4.5])
    assert finding.level is Level.GOOD
    assert "by step 200 (2.0 minutes)" in finding.meaning
    assert finding.values["left_at_step"] == 200
    assert "5.67 from the word before" in finding.measured


def test_a_network_on_the_plateau_gets_the_remedy_that_fits_its_run(tmp_path):
    finding = examine(tmp_path, [10.4, 6.9, 6.1])
    assert finding.level is Level.WARNING
    assert "--initialisation cooccurrence" in finding.remedy
    other = examine(tmp_path, [7.1, 6.9, 6.1], model={"initialisation": "neighbour"})
    assert "--initialisation cooccurrence" not in other.remedy


def test_early_in_the_training_the_plateau_is_only_noted(tmp_path):
    assert examine(tmp_path, [10.4, 6.9], progress=0.2).level is Level.NOTE


def test_a_network_that_fell_back_is_told_so(tmp_path):
    finding = examine(tmp_path, [10.4, 5.5, 7.1])
    assert finding.level is Level.WARNING
    assert "fell back" in finding.meaning


@pytest.mark.parametrize(
    ("losses", "progress", "cause"),
    [
        ([10.4, 7.4, 7.6], 0.05, "have not learnt to look"),  # the rate is still rising
        ([10.4, 7.4, 7.6], 0.5, "far too high"),
        ([10.4, 8.0, 7.6], 0.5, "still falling"),
    ],
)
def test_above_the_unigram_entropy_the_rate_is_suspected_unless_the_loss_falls(tmp_path, losses, progress, cause):
    assert cause in examine(tmp_path, losses, progress=progress, entropy=None).cause
