"""Companies and their members."""
