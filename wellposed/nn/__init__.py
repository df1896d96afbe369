"""Networks, distributions and input statistics that agents are built from."""
