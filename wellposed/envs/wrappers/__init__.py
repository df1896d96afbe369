"""What may stand between the copies and the policy, one file each. `envs.make` says in which order they stand."""
