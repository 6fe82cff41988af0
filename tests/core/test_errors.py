"""The error tree: what the docstring draws is what the code has, and every leaf has an exit code."""

import inspect
import re

from bertsmith.core import errors


def test_the_tree_in_the_docstring_is_the_tree_in_the_code():
    drawn = {}
    above: list[str] = []
    for line in errors.__doc__.splitlines():
        if found := re.match(r"    ([| `-]*)(\w+) {2,}\S", line):
            depth = len(found[1]) // 4
            above = above[:depth]
            drawn[found[2]] = above[-1] if above else "Exception"
            above.append(found[2])
    classes = {
        name: cls.__base__.__name__
        for name, cls in inspect.getmembers(errors, inspect.isclass)
        if issubclass(cls, Exception)
    }
    assert drawn == classes


def test_a_users_mistake_is_2_a_failed_run_1_a_stop_130():
    assert errors.ConfigurationError.exit_code == errors.InputError.exit_code == errors.DamagedArtefact.exit_code == 2
    assert errors.NonFiniteLoss.exit_code == 1
    assert errors.StoppedBySignal.exit_code == 130
