"""Exercises of chapter 9: points of a softmax, random shifts, and a test that finds a leak."""

from typing import Any

import numpy as np

from course.exercises import pictures
from course.exercises.exercise import (
    Counterexample,
    Function,
    Write,
    as_property,
    disagreement,
    in_place_of,
    show,
    show_all,
    wrong_array,
)

BRIGHT = 60.0  # beside it all else has no share in a softmax
COMPILES = (
    "The trainer compiles the function. Write it with jax.numpy, without `if` on values, without NumPy and without "
    "float()."
)


def one_point_each(args: tuple[Any, ...], result: Any) -> str | None:
    """What is wrong with the type or shape of points."""
    b, _, _, c = np.shape(args[0])
    return wrong_array(result, (b, c, 2), "f", "a point of two floats for each channel of each image")


def _pointed(spatial_softmax: Function, maps: np.ndarray, due: Any) -> Counterexample | None:
    """A counterexample if the points of maps [b, h, w, c] are not what is due."""
    import jax.numpy as jnp

    return disagreement(spatial_softmax, {"maps": jnp.asarray(maps, jnp.float32)}, due, 1e-5)


def _bright(shape: tuple[int, ...], *places: tuple[int, ...]) -> np.ndarray:
    """Maps that are dark but for these places."""
    maps = np.zeros(shape)
    for place in places:
        maps[place] = BRIGHT
    return maps


@as_property(
    "it can be compiled",
    equation="the points are a function of the maps alone",
    hint=COMPILES,
)
def _points_compile(spatial_softmax: Function) -> Counterexample | None:
    import jax.numpy as jnp

    spatial_softmax.compile(jnp.zeros((1, 2, 3, 1)))
    return None  # otherwise tracing has raised


@as_property(
    "a map that is the same everywhere has its point in the middle",
    equation="all shares equal: the mean place is 0, 0",
    hint="Places go from -1 in the first row or column to 1 in the last, so the middle is 0. Do shares add up to 1?",
)
def _flat(spatial_softmax: Function) -> Counterexample | None:
    return _pointed(spatial_softmax, np.full((1, 3, 4, 1), 2.0), [[[0, 0]]])


@as_property(
    "a single bright pixel is the point, down before across",
    equation="share 1 at row i of h, column j of w: (2 i / (h - 1) - 1, 2 j / (w - 1) - 1)",
    hint="The last row is at 1 and not just before it. Rows are down, columns across.",
)
def _one_pixel(spatial_softmax: Function) -> Counterexample | None:
    shape = (1, 3, 5, 1)
    for place, due in (((2, 0), (1, -1)), ((0, 1), (-1, -0.5)), ((1, 4), (0, 1))):
        if found := _pointed(spatial_softmax, _bright(shape, (0, *place, 0)), [[due]]):
            return found
    return None


@as_property(
    "each image and each channel has a softmax of its own",
    equation="the sum over rows and columns of one channel of one image is 1",
    hint="Along which axes are the shares normalised? A brighter channel takes nothing away from this one.",
)
def _apart(spatial_softmax: Function) -> Counterexample | None:
    maps = _bright((2, 3, 3, 2), (0, 0, 0, 0), (0, 2, 2, 1), (1, 2, 0, 0), (1, 0, 1, 1))
    maps[..., 1] += 5
    return _pointed(spatial_softmax, maps, [[[-1, -1], [1, 1]], [[1, -1], [-1, 0]]])


@as_property(
    "shares are those of a softmax",
    equation="two pixels that differ by log 3: shares 1/4 and 3/4",
    hint="It is a mean over the whole map and not the brightest pixel, and shares are exponentials, also of numbers "
    "below 0.",
)
def _weighed(spatial_softmax: Function) -> Counterexample | None:
    pair = np.array([0.0, np.log(3)]).reshape(1, 1, 2, 1)
    maps = np.concatenate([pair, pair - 100], axis=1)  # the second row has no share
    return _pointed(spatial_softmax, maps, [[[-1, 0.5]]]) or _pointed(spatial_softmax, -maps[:, :1], [[[-1, -0.5]]])


@as_property(
    "a number that is added to a whole map changes nothing",
    equation="exp(x + c) / sum exp(x + c) = exp(x) / sum exp(x)",
    hint="exp(1000) is infinite. Take the largest number of each map away before.",
)
def _large(spatial_softmax: Function) -> Counterexample | None:
    pair = np.array([0.0, np.log(3)]).reshape(1, 1, 2, 1)
    return _pointed(spatial_softmax, pair + 1000, [[[-1, 0.5]]])


def _own_softmax() -> Function:
    from wellposed.nn.encoders import spatial_softmax

    return spatial_softmax


def bytes_again(args: tuple[Any, ...], result: Any) -> str | None:
    """What is wrong with the type or shape of shifted images."""
    return wrong_array(result, np.shape(args[0]), "u", "stacks of images as bytes, like those that were given")


def _shifts(random_shift: Function, stacks: np.ndarray, corners: list, due: np.ndarray) -> Counterexample | None:
    """A counterexample if stacks [b, L, h, w, c] that are shifted by up to 1 pixel are not what is due."""
    import jax.numpy as jnp

    given = {"stacks": jnp.asarray(stacks, jnp.uint8), "pixels": 1, "corners": jnp.asarray(corners)}
    return disagreement(random_shift, given, due)


def _numbered(b: int = 1, length: int = 1) -> np.ndarray:
    """Stacks of images of 3 x 4 pixels that all differ, [b, L, 3, 4, 1]."""
    return np.arange(b * length * 12).reshape(b, length, 3, 4, 1)


@as_property(
    "it can be compiled",
    equation="the images are a function of stacks and corners alone",
    hint=COMPILES + " A slice whose start is not known yet: jax.lax.dynamic_slice, or indices that are arrays.",
)
def _shift_compiles(random_shift: Function) -> Counterexample | None:
    import jax.numpy as jnp

    random_shift.compile(jnp.zeros((2, 1, 3, 4, 1), jnp.uint8), 1, jnp.zeros((2, 2), int))
    return None  # otherwise tracing has raised


@as_property(
    "in the middle nothing moves",
    equation="corner (p, p): the image itself",
    hint="p rows and columns were added on every side. Which corner cuts them off again?",
)
def _middle(random_shift: Function) -> Counterexample | None:
    return _shifts(random_shift, _numbered(), [[1, 1]], _numbered())


@as_property(
    "a corner farther down shows what was farther down",
    equation="y[i, j] = padded[i + down, j + across], down before across",
    hint="The corner is where the cut begins in the padded image. The first of its numbers counts rows.",
)
def _down(random_shift: Function) -> Counterexample | None:
    due = _numbered()
    due[:, :, :2] = _numbered()[:, :, 1:]
    return _shifts(random_shift, _numbered(), [[2, 1]], due)


@as_property(
    "what comes in is the edge once more",
    equation="padded[-1] = padded[0]: numpy.pad(..., mode='edge')",
    hint="Black pixels would be an edge that is not there, and what left on one side does not come back on the other.",
)
def _edge(random_shift: Function) -> Counterexample | None:
    image = _numbered()
    due = np.concatenate([image[:, :, :1], image[:, :, :-1]], axis=2)
    due = np.concatenate([due[:, :, :, :1], due[:, :, :, :-1]], axis=3)
    return _shifts(random_shift, image, [[0, 0]], due)


@as_property(
    "each stack has a corner of its own, and its images move alike",
    equation="corners[b] for all images of stacks[b]",
    hint="Frames that moved apart would show a motion that was none. Two stacks of a minibatch need not move alike.",
)
def _alike(random_shift: Function) -> Counterexample | None:
    stacks = _numbered(2, 2)
    due = stacks.copy()
    due[1, :, :, :-1] = stacks[1, :, :, 1:]
    return _shifts(random_shift, stacks, [[1, 1], [1, 2]], due)


def _own_shift() -> Function:
    from wellposed.nn.augment import cropped

    return cropped


def one_bool_each(args: tuple[Any, ...], result: Any) -> str | None:
    """What is wrong with the type or shape of what a test found."""
    return wrong_array(result, (len(args[1]["camera"]),), "b", "one bool for each env")


# Two envs at two moments, between which all has changed: the pictures too.
BEFORE = {"camera": [[1.0], [2.0]], "own": [[0.5], [0.5]], "desired_goal": [[3.0], [4.0]], "block": [[1.0], [2.0]]}
AFTER = {"camera": [[5.0], [6.0]], "own": [[0.7], [0.9]], "desired_goal": [[7.0], [8.0]], "block": [[5.0], [6.0]]}
MAY = ("camera", "own", "desired_goal")


def _tested(
    leaks: Function, act: Function, due: list[bool], named: str, after: dict[str, Any] | None = None
) -> Counterexample | None:
    """A counterexample if the test of a policy finds something else than is due."""
    moments = [{name: np.array(value) for name, value in one.items()} for one in (BEFORE, AFTER | (after or {}))]
    found = np.asarray(leaks(act, *moments, MAY))
    if found.tolist() == due:
        return None
    given = show_all({"before": moments[0], "after": moments[1], "allowed": MAY})
    return Counterexample(f"a policy that {named}, {given}", show(np.array(due)), show(found))


@as_property(
    "a policy that reads the picture has no leak",
    equation="a = f(picture): the same where the picture stays",
    hint="Between the two moments the picture changes as well, and such a policy does something else. What must stay "
    "as it was, so that only the leak can show?",
)
def _picture(leaks: Function) -> Counterexample | None:
    return _tested(leaks, lambda obs: obs["camera"], [False, False], "acts as the picture says")


@as_property(
    "nor has one that reads the robot's own numbers and the goal",
    equation="a = f(picture, own, goal)",
    hint="All that may be read stays: not the picture alone.",
)
def _told(leaks: Function) -> Counterexample | None:
    act = lambda obs: np.concatenate([obs["own"] + obs["camera"], obs["desired_goal"]], axis=1)  # noqa: E731
    return _tested(leaks, act, [False, False], "reads the picture, its own numbers and the goal")


@as_property(
    "one that reads where the block is has a leak",
    equation="a = f(picture, block): not the same where the block lies elsewhere",
    hint="The block has to be elsewhere in what you hand in the second time.",
)
def _block(leaks: Function) -> Counterexample | None:
    act = lambda obs: obs["desired_goal"] - obs["block"]  # noqa: E731
    return _tested(leaks, act, [True, True], "reads where the block is")


@as_property(
    "however little it reads of it",
    equation="a = f(picture) + 1e-9 block",
    hint="The same numbers give the same action to the last bit. A tolerance would let a small leak through, and what "
    "is small today may grow in training.",
)
def _little(leaks: Function) -> Counterexample | None:
    act = lambda obs: obs["camera"] + 1e-9 * obs["block"]  # noqa: E731
    return _tested(leaks, act, [True, True], "hardly reads where the block is")


@as_property(
    "one number of an action is enough",
    equation="any of the numbers of a",
    hint="A mean over the numbers of an action may stay although two of them change, and `all` asks for too much.",
)
def _any_number(leaks: Function) -> Counterexample | None:
    act = lambda obs: np.concatenate([obs["block"], -obs["block"], obs["own"]], axis=1)  # noqa: E731
    return _tested(leaks, act, [True, True], "moves two numbers of its action against each other")


@as_property(
    "each env is judged by itself",
    equation="[n]: one answer for each env",
    hint="Where the block lies as it did nothing can be found; in another env it may be.",
)
def _by_itself(leaks: Function) -> Counterexample | None:
    after = {"block": [[1.0], [6.0]]}
    return _tested(leaks, lambda obs: obs["block"], [False, True], "reads where the block is", after)


@as_property(
    "whatever is not allowed is exchanged, whatever its name",
    equation="before and after differ in all that is not allowed",
    hint="A leak seldom has the name that you expect. Go by what is allowed.",
)
def _by_name(leaks: Function) -> Counterexample | None:
    after = {"block": BEFORE["block"], "marker": [[1.0], [1.0]]}
    act = lambda obs: obs["camera"] + obs.get("marker", 0)  # noqa: E731
    return _tested(leaks, act, [True, True], "reads a number that nobody had thought of", after)


def _own_leaks() -> Function:
    from course.measure.seen import leaks

    return leaks


EXERCISES = (
    Write(
        id="9.1",
        title="Points of a softmax",
        function="spatial_softmax",
        parameters=("maps",),
        imports="import jax\nimport jax.numpy as jnp",
        task="""
Where each channel of a convolution is bright: the mean place under its softmax.

maps: [b, h, w, c] what a convolution puts out, array of JAX.
Returns the points [b, c, 2] as (down, across): with the shares

    p[i, j] = exp(maps[i, j]) / sum of exp(maps) over all rows and columns

of one channel of one image, the sum of p[i, j] times the place of row i, and of p[i, j] times that of column j. The
first row and the first column are at -1, the last ones at 1.
""",
        properties=(_points_compile, _flat, _one_pixel, _apart, _weighed, _large),
        form=one_point_each,
        own=_own_softmax,
        put=in_place_of("wellposed.nn.encoders.spatial_softmax"),
        trial=pictures.see_points,
    ),
    Write(
        id="9.2",
        title="Random shifts",
        function="random_shift",
        parameters=("stacks", "pixels", "corners"),
        imports="import jax\nimport jax.numpy as jnp",
        task="""
Images as a camera would show them that stands a few pixels beside.

stacks: [b, L, h, w, c] stacks of L images each, bytes, array of JAX.
pixels: by how many pixels p an image may move. p rows and columns are added on every side, each a copy of the
    edge, and the image is cut to its size again.
corners: [b, 2] where each stack is cut, (down, across) in the padded image, integers from 0 to 2 p, array of JAX.
Returns stacks [b, L, h, w, c] of bytes.
""",
        properties=(_shift_compiles, _middle, _down, _edge, _alike),
        form=bytes_again,
        own=_own_shift,
        put=in_place_of("wellposed.nn.augment.cropped"),
        trial=pictures.see_shifted,
    ),
    Write(
        id="9.3",
        title="A test that finds a leak",
        function="leaks",
        parameters=("act", "before", "after", "allowed"),
        task="""
Whether a policy's actions change with what it must not read, while all that it may read stays.

act: the policy: it takes observations, a dict of arrays [n, ...] by name, and returns actions [n, action_dim].
before: observations of n envs at one moment, among them "camera" [n, ...].
after: observations of the same envs at another moment, in which the block lies elsewhere.
allowed: a tuple of names: what the policy may read.
Returns bools [n]: in which envs something leaks.
""",
        properties=(_picture, _told, _block, _little, _any_number, _by_itself, _by_name),
        form=one_bool_each,
        own=_own_leaks,
        put=in_place_of("course.measure.seen.leaks"),
        trial=pictures.find_leaks,
    ),
)
