"""Side-by-side measurements with the peers: same machine, same run, printed as ratios. `make bench` runs all."""
