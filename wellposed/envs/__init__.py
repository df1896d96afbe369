"""Goal environments: the registry, and batched stepping behind Gymnasium's VectorEnv interface."""

from wellposed.envs.registry import EnvEntry, dims, find, make_vec, register, registered

__all__ = ["EnvEntry", "dims", "find", "make_vec", "register", "registered"]
