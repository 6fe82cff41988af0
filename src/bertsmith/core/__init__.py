"""What every room needs and none owns: errors, artefacts, randomness, settings, screen, pages. No torch here."""
