"""Every error that bertsmith raises on purpose, in one tree.

    BertsmithError                 a person can act on the message; the command line exits with `exit_code`
    |-- ConfigurationError         a setting is unknown, out of range, or contradicts another
    |-- InputError                 a text, table or line that was given cannot be used
    |   `-- EstimatorInputError    X or y of an estimator; a ValueError, too, as scikit-learn has it
    |-- ArtefactError              a folder of ours (vocabulary, store, checkpoint, model) cannot be used
    |   |-- ArtefactExists         the target is already there; nothing is ever overwritten
    |   |-- DamagedArtefact        a file differs from its recorded SHA-256 or size, or is missing
    |   `-- MismatchedArtefact     two artefacts that do not belong together; names both sides
    `-- TrainingError              training cannot go on
        |-- LostProcess            another process of the training is gone; its steps since the last checkpoint are lost
        |-- NonFiniteLoss          loss or gradient is NaN or infinite; the weights were not touched
        |-- OutOfMemory            a forward and backward pass does not fit into the memory
        `-- StoppedBySignal        Ctrl-C or SIGTERM; training has written a checkpoint, nothing else is left behind

A message is one paragraph: what was wrong, where, and what to do.
"""


class BertsmithError(Exception):
    """Base of all errors with a message for the user. `exit_code` 2: the user's to mend; 1: the run failed."""

    exit_code = 2


class ConfigurationError(BertsmithError):
    """A setting is unknown, out of range, or contradicts another."""


class InputError(BertsmithError):
    """A text, table or line that was given cannot be used."""


class EstimatorInputError(InputError, ValueError):
    """X or y of an estimator cannot be used. scikit-learn expects a ValueError; nothing else raises this."""


class ArtefactError(BertsmithError):
    """A vocabulary, token store, checkpoint or model folder cannot be used."""


class ArtefactExists(ArtefactError):
    """The target folder is already there."""


class DamagedArtefact(ArtefactError):
    """A file of an artefact is missing or differs from what its manifest records."""


class MismatchedArtefact(ArtefactError):
    """Two artefacts, or an artefact and a configuration, do not belong together."""


class TrainingError(BertsmithError):
    """Training cannot go on."""

    exit_code = 1


class LostProcess(TrainingError):
    """Another process of the same training does not answer any more."""


class NonFiniteLoss(TrainingError):
    """The loss or the gradient is NaN or infinite. Raised before the weights change."""


class OutOfMemory(TrainingError):
    """A forward and backward pass does not fit into the memory of the machine or its GPU."""


class StoppedBySignal(TrainingError):
    """SIGINT or SIGTERM arrived. Training has written a checkpoint; other work leaves nothing half-made."""

    exit_code = 130
