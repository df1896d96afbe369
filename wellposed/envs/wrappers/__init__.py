"""What may stand between an environment and the policy, one file each; `envs.make` gives the order."""
