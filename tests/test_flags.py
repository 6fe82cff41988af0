"""Every setting of every command, as a list: a new flag is a decision, and shows here.

A name with a dot stands in a group; the flag is the last part (`data.batch_size` is `--batch-size`).
"""

import pytest

from bertsmith.cli import COMMANDS, settings_class_of
from bertsmith.flags import flags_of

FLAGS = {
    "quickstart": """
        out minutes seeds seed dry_run
    """,
    "vocab": """
        inputs format text_field on_error out size cased strip_accents handle_chinese_chars unused min_frequency
        limit_alphabet
    """,
    "prepare": """
        inputs format text_field on_error vocab out sentences language workers held_out dry_run
    """,
    "pretrain": """
        store out recipe init seed dry_run model.network model.size model.num_hidden_layers model.hidden_size
        model.num_attention_heads model.max_positions model.hidden_dropout model.attention_dropout
        model.num_words model.initialisation data.max_seq_length data.batch_size
        data.short_sequence_probability data.objective data.special_pieces data.next_sentence data.masking_rate
        data.mask_share data.random_share data.whole_word data.max_predictions training.optimiser
        training.learning_rate training.warmup_share training.weight_decay training.beta1 training.beta2
        training.epsilon training.bias_correction training.gradient_clip training.steps training.hours
        runtime.precision runtime.device runtime.threads runtime.activation_checkpointing
        runtime.compile_layers runtime.micro_batch_size runtime.checkpoint_minutes
        runtime.checkpoint_steps runtime.keep_checkpoints
        runtime.log_steps runtime.evaluations runtime.evaluation_sequences runtime.minimal_pairs
    """,
    "doctor": """
        subject store out text text_tokens sequences runtime.precision runtime.device runtime.threads
    """,
    "finetune": """
        model out seed seeds initialisation dry_run task_data.task task_data.kind task_data.data task_data.train
        task_data.dev task_data.regression task_data.several_labels task_data.template task_data.words
        task_data.dev_share task_data.on_error task_data.from_mnli columns.text columns.text_pair columns.label
        inputs.max_seq_length inputs.stride
        inputs.max_question_length inputs.max_answer_length inputs.long_texts training.optimiser
        training.learning_rate training.warmup_share training.weight_decay training.beta1 training.beta2
        training.epsilon training.bias_correction training.gradient_clip training.epochs training.batch_size
        training.dropout training.patience training.restarts loss.class_weights loss.label_smoothing loss.language_model
        layers.layer_decay layers.frozen_layers strategy.strategy strategy.bilstm_size strategy.state_layers
        strategy.combine_states grid.grid grid.grid_learning_rates grid.grid_batch_sizes
        grid.grid_epochs runtime.precision runtime.device runtime.threads runtime.activation_checkpointing
        runtime.compile_layers runtime.micro_batch_size
    """,
    "evaluate": """
        model data minimal_pairs part task official on_error max_seq_length max_sequences
        columns.text columns.text_pair columns.label runtime.precision runtime.device runtime.threads
        runtime.batch_tokens
    """,
    "predict": """
        model input format text text_pair official on_error max_seq_length runtime.precision runtime.device
        runtime.threads runtime.batch_tokens
    """,
    "fill": """
        model texts top runtime.precision runtime.device runtime.threads runtime.batch_tokens
    """,
    "features": """
        model input out format text unit pooling numbers on_error max_seq_length vectors.layers vectors.combine
        vectors.weights runtime.precision runtime.device runtime.threads runtime.batch_tokens
    """,
    "compare": """
        study store out task_data only quick runtime.precision runtime.device runtime.threads
    """,
}


@pytest.mark.parametrize("name", COMMANDS)
def test_the_settings_of_a_command_are_these(name):
    assert [".".join(flag.path) for flag in flags_of(settings_class_of(COMMANDS[name]))] == FLAGS[name].split()


def test_there_is_no_other_command():
    assert list(COMMANDS) == list(FLAGS)
