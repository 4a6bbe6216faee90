"""What a sweep of Hydra will compose, so that it can be checked before its first run."""

from collections.abc import Iterator
from itertools import islice

from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import ValueType

TOLD = (ValueType.CHOICE_SWEEP, ValueType.SIMPLE_CHOICE_SWEEP, ValueType.RANGE_SWEEP)  # sweeps whose values are typed
MAX_VALUES = 64  # of an option that are looked at: ranges may have any number


def combinations(overrides: list[str]) -> Iterator[list[str]]:
    """Yield overrides without sweeps in which each value of each swept option is at least once.

    The first has the first value of each; others differ from it in one. What only a sweeper can
    tell, such as which choices glob(*) matches, is left out.

    Args:
        overrides: as they are typed behind --multirun.

    Raises:
        OverrideParseException: of Hydra, where one cannot be read.
    """
    values: list[list[str]] = []
    for override in OverridesParser.create().parse_overrides(overrides):
        if override.value_type in TOLD:
            swept = islice(override.sweep_string_iterator(), MAX_VALUES)
            values.append([f"{override.get_key_element()}={value}" for value in swept])
        elif not override.is_sweep_override():
            values.append([str(override.input_line)])
    values = [choices for choices in values if choices]  # range(3,3) has none
    first = [choices[0] for choices in values]
    yield first
    for place, choices in enumerate(values):
        for choice in choices[1:]:
            yield [*first[:place], choice, *first[place + 1 :]]
