"""One run under way: two visible loops, off-policy and on-policy, and where a run stands, which both move on."""

from wellposed.loop.off_policy import Training
from wellposed.loop.on_policy import OnPolicyTraining
from wellposed.loop.standing import reached
from wellposed.recipe import AnyRunConfig, OnPolicyRunConfig, RunConfig

LOOPS: dict[type[AnyRunConfig], type[Training] | type[OnPolicyTraining]] = {
    RunConfig: Training,
    OnPolicyRunConfig: OnPolicyTraining,
}

__all__ = ["LOOPS", "OnPolicyTraining", "Training", "reached"]
