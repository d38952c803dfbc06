"""One house style, and the figures that studies declare."""
