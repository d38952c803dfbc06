"""Which data to keep, weigh and collect."""
