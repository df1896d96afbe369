"""Mistakes in long exercises: what stands in the right file, what stands there instead, what the step lacks then."""

from typing import NamedTuple


class Slip(NamedTuple):
    """A mistake in one step, and the beginning of the name of the first property that the step does not have then."""

    right: str
    wrong: str
    lacks: str


SLIPS: dict[tuple[str, str], list[Slip]] = {
    ("4.4", "draw_transitions"): [
        Slip("rows = draw(n)", "rows = np.sort(draw(n))", "rows that start"),
        Slip(
            "    while len(final := np.flatnonzero(time[rows] == length[rows])):\n"
            "        rows[final] = draw(len(final))\n",
            "",
            "a final state",
        ),
        Slip("        rows[final] = draw(len(final))\n", "        rows = draw(n)\n", "a final state"),
        Slip(
            "    while len(final := np.flatnonzero(time[rows] == length[rows])):\n",
            "    if len(final := np.flatnonzero(time[rows] == length[rows])):\n",
            "it goes on",
        ),
    ],
    ("4.4", "future"): [
        Slip("t + 1 + np.floor(u * (length - t))", "np.floor(u * (length + 1))", "the earliest"),
        Slip("t + 1 + np.floor(u * (length - t))", "t + np.floor(u * (length + 1 - t))", "the earliest"),
        Slip("u * (length - t)", "u * (length - t - 1)", "the latest"),
        Slip("u * (length - t)", "u * (length.max() - t)", "the latest"),
        Slip("np.floor(u * (length - t))", "np.rint(u * (length - t - 1))", "equal parts"),
    ],
    ("4.4", "goals"): [
        Slip("row + moment - t", "row + moment", "the row"),
        Slip("(row + moment - t) % len(achieved)", "moment", "the row"),
        Slip("(row + moment - t) % len(achieved)", "np.minimum(row + moment - t, len(achieved) - 1)", "behind"),
    ],
    ("4.4", "relabelled"): [
        Slip("b * k / (k + 1)", "b / (k + 1)", "without hindsight"),
        Slip("b * k / (k + 1)", "b * min(k, 1)", "k goals"),
        Slip("round(b * k / (k + 1))", "b * k // (k + 1)", "it is the nearest"),
    ],
    ("4.4", "outcomes"): [
        Slip("compute_reward(next_achieved, goal)", "np.zeros(len(goal))", "the reward"),
        Slip("compute_reward(next_achieved, goal)", "compute_reward(goal, next_achieved)", "the reward"),
        Slip("np.maximum(compute_terminated(next_achieved, goal), failed)", "failed", "termination"),
        Slip("np.maximum(compute_terminated(next_achieved, goal), failed)", "reward + 1", "termination"),
        Slip(
            "np.maximum(compute_terminated(next_achieved, goal), failed)",
            "compute_terminated(next_achieved, goal)",
            "a failure",
        ),
    ],
    ("4.4", "sample"): [
        Slip("(row + 1) % len(time)", "np.minimum(row + 1, len(time) - 1)", "it holds"),
        Slip('store["action"][row]', 'store["action"][after]', "it holds"),
        Slip("np.arange(b) < relabelled(b, k)", "np.arange(b) < b", "the first"),
        Slip("future(time[row], length[row], u)", "future(time[row], length[row], u[::-1])", "the first"),
        Slip("np.where(first, reward, ", "np.where(True, reward, ", "their rewards"),
        Slip('np.where(first, reward, store["reward"][row])', 'store["reward"][row]', "their rewards"),
        Slip('store["failed"][row], compute', 'store["failed"][row] * 0, compute', "so are"),
        Slip('np.where(first, terminated, store["terminated"][row])', 'store["terminated"][row]', "so are"),
    ],
}
