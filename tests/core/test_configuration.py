"""Settings: layers merge key by key, nothing unknown passes, every message names the key and what is wrong."""

import pytest
from pydantic import Field, ValidationError, model_validator

from bertsmith.core.configuration import Settings, build_settings, read_toml
from bertsmith.core.errors import ConfigurationError


class Optimiser(Settings):
    learning_rate: float = Field(1e-4, gt=0)
    weight_decay: float = 0.01
    beta: float = 0.9

    @model_validator(mode="after")
    def below_one(self) -> "Optimiser":
        if self.beta >= 1:
            raise ValueError("beta is not below 1")
        return self


class Train(Settings):
    steps: int
    sizes: tuple[int, ...] = (1, 2)
    optimiser: Optimiser = Optimiser(learning_rate=5e-5)
    low: int = 0
    high: int = 1

    @model_validator(mode="after")
    def ordered(self) -> "Train":
        if self.low > self.high:
            raise ValueError(f"low = {self.low} lies above high = {self.high}")
        return self


def test_later_layers_win_key_by_key():
    built = build_settings(
        Train,
        {"steps": 1, "optimiser": {"learning_rate": 1.0, "weight_decay": 2.0}, "sizes": [1, 2, 3]},
        {"steps": 2, "optimiser": {"weight_decay": 3.0}},
        {"sizes": [9]},
    )
    assert built == Train(steps=2, sizes=(9,), optimiser=Optimiser(learning_rate=1.0, weight_decay=3.0))


def test_a_layer_that_sets_one_key_of_a_group_keeps_the_defaults_of_the_others():
    assert build_settings(Train, {"steps": 1, "optimiser": {"weight_decay": 0.0}}).optimiser.learning_rate == 5e-5


def test_a_file_and_flags_are_two_layers():
    assert Train.from_layers({"steps": 1, "low": 1}, {"steps": 2}) == Train(steps=2, low=1)


def test_settings_cannot_be_changed():
    with pytest.raises(ValidationError):
        Train(steps=1).steps = 2


@pytest.mark.parametrize(
    ("layer", "message"),
    [
        ({"steps": 1, "size": [1]}, "There is no setting 'size'. Did you mean 'sizes'?"),
        ({"steps": 1, "optimiser": {"learning_rat": 1}}, "'optimiser.learning_rat'. Did you mean 'learning_rate'?"),
        ({"steps": 1, "learning_rates": 1}, "There is no setting 'learning_rates'. Did you mean 'learning_rate'?"),
        ({"steps": 1, "qqqq": 1}, "There is no setting 'qqqq'."),
        ({}, "The setting 'steps' is required."),
        ({"steps": "many"}, "The setting 'steps' = 'many' is not usable: Input should be a valid integer"),
        ({"steps": 1, "optimiser": {"learning_rate": 0}}, "'optimiser.learning_rate' = 0 is not usable: Input should"),
        ({"steps": 1, "low": 3}, "The settings are not usable: low = 3 lies above high = 1."),
        ({"steps": 1, "optimiser": {"beta": 2}}, "The settings of 'optimiser' are not usable: beta is not below 1."),
        ({"steps": 1, "optimiser": 5}, "The setting 'optimiser' = 5 is not usable"),
    ],
)
def test_a_message_names_the_key_and_what_is_wrong(layer, message):
    with pytest.raises(ConfigurationError) as caught:
        build_settings(Train, layer)
    assert message in str(caught.value)


def test_every_mistake_is_named_at_once():
    with pytest.raises(ConfigurationError) as caught:
        build_settings(Train, {"steps": "x", "nonsense": 1})
    assert "'steps' = 'x'" in str(caught.value)
    assert "'nonsense'" in str(caught.value)


@pytest.mark.parametrize(
    ("content", "message"),
    [(b"steps = ", "is not valid TOML"), (b"a = 1\na = 2", "is not valid TOML"), (b"\xff", "is not valid TOML")],
)
def test_a_file_that_is_not_toml_is_named(tmp_path, content, message):
    (tmp_path / "a.toml").write_bytes(content)
    with pytest.raises(ConfigurationError, match=message):
        read_toml(tmp_path / "a.toml")


def test_a_file_that_cannot_be_read_is_named(tmp_path):
    with pytest.raises(ConfigurationError, match=r"a\.toml cannot be read: No such file"):
        read_toml(tmp_path / "a.toml")
    with pytest.raises(ConfigurationError, match="cannot be read: Is a directory"):
        read_toml(tmp_path)
