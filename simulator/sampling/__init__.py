"""Random objects drawn exactly and cheaply."""
