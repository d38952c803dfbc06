"""In which scope things are computed: precision, compilation, threads."""
