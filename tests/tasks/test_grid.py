"""Which settings a grid tries."""

import pytest

from bertsmith.core.configuration import build_settings
from bertsmith.core.errors import ConfigurationError
from bertsmith.tasks.grid import GridSettings


def test_without_a_grid_there_is_one_cell_that_changes_nothing():
    assert GridSettings().cells() == [{}]


def test_the_papers_grid_has_its_eighteen_cells():
    cells = GridSettings(grid="paper").cells()
    assert len(cells) == 18
    assert {cell["learning_rate"] for cell in cells} == {5e-5, 3e-5, 2e-5}
    assert {cell["batch_size"] for cell in cells} == {16, 32}
    assert {cell["epochs"] for cell in cells} == {2, 3, 4}


def test_the_papers_grid_for_glue_has_four_learning_rates():
    cells = GridSettings(grid="paper-glue").cells()
    assert [cell["learning_rate"] for cell in cells] == [5e-5, 4e-5, 3e-5, 2e-5]
    assert all((cell["batch_size"], cell["epochs"]) == (32, 3) for cell in cells)


def test_the_grid_of_the_small_models_has_twenty_cells_of_four_epochs():
    cells = GridSettings(grid="small-models").cells()
    assert len({tuple(cell.values()) for cell in cells}) == 20
    assert {cell["epochs"] for cell in cells} == {4}


def test_values_of_ones_own_take_the_places_of_the_grids():
    cells = GridSettings(grid="paper", grid_learning_rates=(1e-3,), grid_epochs=(1, 2)).cells()
    assert [(cell["batch_size"], cell["learning_rate"], cell["epochs"]) for cell in cells] == [
        (16, 1e-3, 1),
        (16, 1e-3, 2),
        (32, 1e-3, 1),
        (32, 1e-3, 2),
    ]
    assert GridSettings(grid_batch_sizes=(8, 16)).cells() == [{"batch_size": 8}, {"batch_size": 16}]


@pytest.mark.parametrize(
    "values", [{"grid_batch_sizes": (16, 0)}, {"grid_epochs": (0,)}, {"grid_learning_rates": (-1e-4,)}], ids=str
)
def test_values_that_cannot_be_are_refused_before_the_first_run(values):
    with pytest.raises(ConfigurationError, match="has to be more than 0"):
        build_settings(GridSettings, values)
