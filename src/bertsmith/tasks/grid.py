"""A grid of settings: every combination is run with every seed, and the best on dev is kept (BERT 4.1, A.3)."""

from collections.abc import Mapping, Sequence
from itertools import product
from typing import Literal

from pydantic import Field, field_validator

from bertsmith.core.configuration import Settings

GridName = Literal["paper", "paper-glue", "small-models"]

# A.3, for any task: "batch size 16, 32; learning rate 5e-5, 3e-5, 2e-5; epochs 2, 3, 4". 4.1, for GLUE: "a batch size
# of 32 and fine-tune for 3 epochs", "learning rate (among 5e-5, 4e-5, 3e-5, and 2e-5)". The last: what the authors'
# README says of the scores of their smaller models.
_GRIDS: Mapping[GridName, Mapping[str, Sequence[float]]] = {
    "paper": {"batch_size": (16, 32), "learning_rate": (5e-5, 3e-5, 2e-5), "epochs": (2, 3, 4)},
    "paper-glue": {"batch_size": (32,), "learning_rate": (5e-5, 4e-5, 3e-5, 2e-5), "epochs": (3,)},
    "small-models": {
        "batch_size": (8, 16, 32, 64, 128),
        "learning_rate": (3e-4, 1e-4, 5e-5, 3e-5),
        "epochs": (4,),
    },
}

Cell = Mapping[str, float]  # settings of `finetune`'s group training that differ from the others'


class GridSettings(Settings):
    """Settings of which several values are tried."""

    grid: GridName | None = Field(
        None,
        description="values to try: paper = those that the paper names for any task (A.3), 18 cells; paper-glue = "
        "those behind its scores on GLUE (4.1), 4 cells; small-models = those of the authors' smaller models, 20 cells",
    )
    grid_learning_rates: tuple[float, ...] = Field((), description="learning rates to try, in the place of the grid's")
    grid_batch_sizes: tuple[int, ...] = Field((), description="batch sizes to try, in the place of the grid's")
    grid_epochs: tuple[int, ...] = Field((), description="numbers of epochs to try, in the place of the grid's")

    @field_validator("grid_learning_rates", "grid_batch_sizes", "grid_epochs")
    @classmethod
    def _are_above_zero(cls, values: tuple[float, ...]) -> tuple[float, ...]:
        if any(value <= 0 for value in values):
            raise ValueError("a value to try has to be more than 0")
        return values

    def cells(self) -> list[Cell]:
        """Every combination, in a fixed order; one without any change where no grid is asked for."""
        values = dict(_GRIDS[self.grid]) if self.grid else {}
        given = {
            "batch_size": self.grid_batch_sizes,
            "learning_rate": self.grid_learning_rates,
            "epochs": self.grid_epochs,
        }
        values |= {name: tried for name, tried in given.items() if tried}
        return [dict(zip(values, combination, strict=True)) for combination in product(*values.values())]
