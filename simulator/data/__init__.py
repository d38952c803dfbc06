"""Data of the user and of our dependencies, turned into spectra, teachers and rank laws."""
