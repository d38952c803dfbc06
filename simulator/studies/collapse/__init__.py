"""Model collapse: models trained on what models made."""
