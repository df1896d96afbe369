import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from wellposed import seeding
from wellposed.errors import UserError


@given(st.integers(0, 2**31), st.integers(0, 2**31))
def test_training_monitoring_and_held_out_episodes_never_meet(one, other):
    training = seeding.training_env_seed(one)
    monitoring = seeding.evaluation_env_seeds(other, 20, "monitoring")
    held_out = seeding.evaluation_env_seeds(other, 20, "held-out")
    assert 0 <= training < 2**30 - 2**16
    assert all(2**30 <= s < 3 * 2**29 for s in monitoring)
    assert all(3 * 2**29 <= s < 2**31 for s in held_out)
    assert len(set(monitoring)) == len(set(held_out)) == 20


def test_streams_differ_by_name_and_by_seed():
    draws = {(s, n): seeding.generator(s, n).integers(2**60) for s in (0, 1) for n in ("replay", "exploration")}
    assert len(set(draws.values())) == 4


@given(st.integers(0, 2**32), st.integers(0, 50))
def test_a_packed_generator_goes_on_with_the_same_numbers(seed, used):
    rng = np.random.default_rng(seed)
    rng.integers(10, size=used, dtype=np.uint32)  # may leave half a word behind
    packed = seeding.pack_generator(rng)
    expected = rng.integers(10, size=9, dtype=np.uint32), rng.normal(size=3)
    other = np.random.default_rng(12345)
    seeding.unpack_generator(other, packed)
    assert np.array_equal(other.integers(10, size=9, dtype=np.uint32), expected[0])
    assert np.array_equal(other.normal(size=3), expected[1])


@pytest.mark.parametrize(
    ("text", "seeds"), [("0-4", [0, 1, 2, 3, 4]), ("0,2,5", [0, 2, 5]), ("7", [7]), ("0-1,5", [0, 1, 5])]
)
def test_seeds_are_read(text, seeds):
    assert seeding.parse_seeds(text) == seeds


@pytest.mark.parametrize("text", ["", "a", "1,1", "3-1", "-1"])
def test_seeds_that_make_no_sense_are_refused(text):
    with pytest.raises(UserError):
        seeding.parse_seeds(text)


@pytest.mark.parametrize("text", ["0-3000000000", "0-9999,10000-20000", "0-10000", "5-99999999999999999999"])
def test_a_range_too_long_to_be_meant_is_refused_before_it_is_made(text):
    with pytest.raises(UserError, match="at most 10,000 seeds"):
        seeding.parse_seeds(text)


@pytest.mark.parametrize("episodes", [0, -1, 3_000_000_000])
def test_more_episodes_than_can_be_meant_are_refused(episodes):
    with pytest.raises(UserError, match="--episodes must be 1 to 1,000,000"):
        seeding.evaluation_env_seeds(0, episodes, "held-out")
