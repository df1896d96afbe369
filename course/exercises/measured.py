"""Predictions of what a measurement of the course says: exercises of chapters 9 to 11."""

from course.exercises.exercise import Measured, Predict, Quantity
from course.exercises.predictions import Paths, of_rate


def _other_cameras(paths: Paths, threads: int) -> dict[str, Measured]:
    from course.measure.kinds import Context
    from course.measure.seen import FRAMES, SeenSettings, measure_seen

    shown = {"black": ["shown=blank"], "others": ["moved=0.02", "turned=2", "light=0.2", "colour=0.1"]}
    success = measure_seen(SeenSettings(list(paths), shown), Context(threads, paths)).success
    asked = [("plain", "own"), ("plain", "black"), ("plain", "others"), ("varied", "own"), ("varied", "others")]
    found = {}
    for variant, name in asked:
        found[f"{variant}_{name}"] = of_rate(success[FRAMES if name == "own" else name][variant])
    return found


def _transfer(paths: Paths, threads: int) -> dict[str, Measured]:
    from course.chapters.load import find_chapters
    from course.measure.kinds import Context
    from course.measure.realities import RealitySettings, measure_reality

    brought = find_chapters() / "ch10_reality"
    context = Context(threads, paths, brought=brought, kept=paths["plain"][0].parent)
    rows = measure_reality(RealitySettings("table", list(paths)), context).rows
    return {f"success_{row.variant}": of_rate(row.success) for row in rows}


def _remembered(paths: Paths, threads: int) -> dict[str, Measured]:
    from course.measure.guarded import GuardedSettings, measure_guarded
    from course.measure.kinds import Context

    rows = measure_guarded(GuardedSettings(list(paths)), Context(threads, paths)).rows
    found = {f"{row.policy}_{row.plays}": row.success for row in rows}
    names = ("memoryless_greedy", "memoryless_drawn", "history_4_greedy", "history_8_greedy")
    return {name: of_rate(rate) for name, rate in found.items() if name in names}


EXERCISES = (
    Predict(
        id="9.4",
        title="Another camera",
        question="""
Two policies have learnt sparse Push from pictures of 48 x 48 pixels, 100,000 steps each: one with the camera at its
place, the other with a camera that stands 2 cm and 2 degrees elsewhere in each episode (standard deviations), under
another light and with other colours. Both play the same held-out episodes. With which success rate does the first one
reach the goals with its own camera, with black frames, and with such other cameras, and the second one with its own
camera and with the others? At the middle of the table a pixel is 13 mm wide; some goals are solved at reset.
""",
        quantities=(
            Quantity("plain_own", "success of the first one with its own camera", 0.0, 1.0),
            Quantity("plain_black", "success of the same with black frames", 0.0, 1.0),
            Quantity("plain_others", "success of the same with other cameras, light and colours", 0.0, 1.0),
            Quantity("varied_own", "success of the second one with the camera at its place", 0.0, 1.0),
            Quantity("varied_others", "success of the same with other cameras, light and colours", 0.0, 1.0),
        ),
        experiment={
            "title": "What does another camera cost, and what does training with many return?",
            "env": "FetchPush-v4",
            "seeds": "0",
            "until_success": None,
            "base": {
                "algo": "estimate",
                "env.pixels.size": 48,
                "total_steps": 100_000,
                "eval_every": 5_000,
                "eval_episodes": 60,
            },
            "variants": {
                "plain": {},
                "varied": {
                    "env.pixels.moved": 0.02,
                    "env.pixels.turned": 2.0,
                    "env.pixels.light": 0.2,
                    "env.pixels.colour": 0.1,
                },
            },
        },
        measure=_other_cameras,
    ),
    Predict(
        id="10.3",
        title="A table that nobody trained on",
        question="""
Three policies have learnt sparse Push, 100,000 steps each: with the task's own dynamics; with friction of 0.5 to 1.5,
mass of 0.5 to 2 and drive of 0.7 to 1.3 times that, drawn for each episode; and with the task's own dynamics and
actions that arrive two steps late, the ones under way shown. All play a sealed reality with a smooth table, a heavy
block and commands two steps late, a hundred episodes each. With which success rate?
""",
        quantities=(
            Quantity("success_plain", "success of the one that knows nothing", 0.0, 1.0),
            Quantity("success_randomised", "success of the one trained in many worlds", 0.0, 1.0),
            Quantity("success_told", "success of the one trained with the delay", 0.0, 1.0),
        ),
        experiment={
            "title": "What does a reality ask for: other dynamics, or a delay?",
            "env": "FetchPush-v4",
            "seeds": "0",
            "until_success": None,
            "base": {"total_steps": 100_000, "eval_every": 5_000, "eval_episodes": 60},
            "variants": {
                "plain": {},
                "randomised": {
                    "env.dynamics.friction": "0.5..1.5",
                    "env.dynamics.mass": "0.5..2",
                    "env.dynamics.gain": "0.7..1.3",
                    "env.sensors.noise": 0.002,
                    "agent.critic_sees": "truth",
                },
                "told": {"env.control.delay": 2, "env.control.shown": True},
            },
        },
        measure=_transfer,
    ),
    Predict(
        id="11.3",
        title="What is remembered",
        question="""
The hole lies at one of five cells, and an episode has five guarded moves; after a failed one everything looks as it did
before. Three policies have learnt from 30,000 moves each, one seed: one sees the present observation, the others the
last four and the last eight. With which success rate does each find the hole in 200 held-out episodes, played greedily,
and the first one if its actions are drawn? A bound is not a prediction: a learner need not come near it.
""",
        quantities=(
            Quantity("memoryless_greedy", "success without memory, greedy", 0.0, 1.0),
            Quantity("memoryless_drawn", "success without memory, actions drawn", 0.0, 1.0),
            Quantity("history_4_greedy", "success with a history of four, greedy", 0.0, 1.0),
            Quantity("history_8_greedy", "success with a history of eight, greedy", 0.0, 1.0),
        ),
        experiment={
            "title": "What does a history return where everything looks the same?",
            "env": "PegProbe-v0",
            "seeds": "0",
            "until_success": None,
            "base": {"total_steps": 30_000, "eval_every": 2_500, "eval_episodes": 50},
            "variants": {
                "memoryless": {},
                "history_4": {"agent.inputs.encoder": "history", "agent.inputs.memory": 4},
                "history_8": {"agent.inputs.encoder": "history", "agent.inputs.memory": 8},
            },
        },
        measure=_remembered,
    ),
)
