"""Mathematics that several studies share and a textbook names."""
