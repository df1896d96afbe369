"""Many runs: a manifest asks for them, an executor does what is missing, and their records say where they are.

`rows` is a manifest's folder, `manifest` reads the question, `states` reads where each run is, `work` does one row, and
`local`, `slurm` and `ray_cluster` start `work` for many. No state is kept outside of the run directories.
"""
