"""The suites of this package, each a folder and a line here: the function that registers its environments."""

from wellposed.envs.suites import fetch

SUITES = (fetch.register_all,)
