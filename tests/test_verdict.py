"""A verdict says what the policy saw, and what its updates were told, where the two differ."""

import pytest

from tests.agents.data import PICTURES, SPEC
from wellposed.config import override
from wellposed.recipes import default_config
from wellposed.verdict import information

ACTING = "Acting, it sees camera (8 x 8 x 3), own (1), desired_goal (2). Its updates saw "
TRUTH = ACTING + "the true observation and achieved_goal as well"
LEAKY = PICTURES._replace(obs=(PICTURES.field("camera"), *SPEC.obs[1:]))
LEAK = (
    "Acting, it sees camera (8 x 8 x 3), achieved_goal (2), desired_goal (2). Its updates saw the same; hindsight's "
    "goals and rewards are of the truth. It is shown what is achieved when it acts, which the picture should tell: a "
    "leak (--env.pixels.leak)."
)


@pytest.mark.parametrize(
    ("spec", "algo", "settings", "said"),
    [
        (PICTURES, "sac", {"agent.critic_sees": "truth"}, TRUTH + "."),
        (PICTURES, "sac", {}, ACTING + "the same; hindsight's goals and rewards are of the truth."),
        (PICTURES, "estimate", {"init_from": "a run"}, TRUTH + ". It began with the networks of another run."),
        (PICTURES, "distil", {}, TRUTH + ", and the actions of a policy that acts on these."),
        (SPEC, "sac", {"agent.critic_sees": "truth"}, ""),
        (LEAKY, "sac", {"env.pixels.size": 8, "env.pixels.leak": True}, LEAK),
    ],
)
def test_what_was_seen_and_what_was_told(spec, algo, settings, said):
    assert information(override(default_config("FetchPush-v4", algo), settings), spec) == said
