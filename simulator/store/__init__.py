"""The same, surviving: a sweep on disk."""
