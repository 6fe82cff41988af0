"""What counts as learning nothing."""

from bertsmith.tasks.collapse import CollapseWatch


def first_sign(losses, blind_loss=0.7):
    watch = CollapseWatch(seed=0)
    for done, loss in enumerate(losses, start=1):
        watch.after_step(done, done / len(losses), loss, blind_loss, 8)
    return watch.first_sign


def test_each_tenth_from_the_third_on_is_judged_by_its_mean_loss():
    assert first_sign([0.71] * 100) == 30
    assert first_sign([0.71] * 20 + [0.3] * 30 + [0.71] * 50) == 60
    assert first_sign([0.71] * 20 + [0.69] * 80) is None
    assert first_sign([0.71, 0.68] * 50) is None  # 0.695 on average


def test_the_first_sign_is_said_once(capsys):
    first_sign([0.71] * 100)
    shown = " ".join(capsys.readouterr().err.split())
    assert shown.count("no better than guessing") == 1
    assert "seed 0, step 30: the training loss, 0.710, is not below 0.700, what guessing blindly costs" in shown
