"""Goal environments: the registry, the one door (`make_env`), and Gymnasium's VectorEnv at the edge (`make_vec`)."""

from wellposed.envs.make import EnvConfig, make_env, make_vec
from wellposed.envs.registry import EnvEntry, find, register, registered

__all__ = ["EnvConfig", "EnvEntry", "find", "make_env", "make_vec", "register", "registered"]
