"""Small limits, budgets and requests, drawn at random: so small that they meet."""

from hypothesis import strategies as st

_LIMITS = st.none() | st.integers(1, 50)
# What a policy may say of a key, an owner, or all.
BOUNDS = {
    "requests_per_minute": _LIMITS,
    "input_tokens_per_minute": _LIMITS,
    "output_tokens_per_minute": _LIMITS,
    "max_in_flight": st.none() | st.integers(1, 4),
    "day_micros": st.none() | st.integers(0, 60),
    "month_micros": st.none() | st.integers(0, 200),
}
TOKENS = st.integers(0, 40)
MICROS = st.integers(0, 20)
