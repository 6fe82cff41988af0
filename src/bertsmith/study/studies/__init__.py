"""Studies that bertsmith brings, each a TOML file (`study_file`)."""
