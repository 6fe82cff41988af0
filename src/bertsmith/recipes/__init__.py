"""Recipes: settings of `pretrain` by name, as TOML."""
