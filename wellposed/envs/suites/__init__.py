"""The suites of this package, each a module and a line here: the function that registers its environments."""

from wellposed.envs.suites import fetch, ogbench, panda, peg

SUITES = (fetch.register_all, ogbench.register_all, panda.register_all, peg.register_all)
