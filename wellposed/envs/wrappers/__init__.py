"""What may stand between the envs and the policy, one file each. `envs.make` says in which order they stand."""
