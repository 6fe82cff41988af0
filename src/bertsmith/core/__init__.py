"""What every room needs and no room owns: errors, artefacts, randomness, settings, the screen. No torch here."""
