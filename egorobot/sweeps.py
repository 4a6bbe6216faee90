"""What a sweep of Hydra will compose, so that it can be checked before its first run."""

from collections.abc import Iterator
from itertools import islice

from hydra.core.override_parser.overrides_parser import OverridesParser

MAX_VALUES = 64  # of an option that are looked at: ranges may have any number


def combinations(overrides: list[str]) -> Iterator[list[str]]:
    """Yield overrides without sweeps in which each value of each swept option is at least once.

    The first has the first value of each; others differ from it in one.

    Args:
        overrides: as they are typed behind --multirun.

    Raises:
        OverrideParseException: of Hydra, where one cannot be read.
    """
    values: list[list[str]] = []
    for override in OverridesParser.create().parse_overrides(overrides):
        if override.is_sweep_override():
            swept = islice(override.sweep_string_iterator(), MAX_VALUES)
            values.append([f"{override.get_key_element()}={value}" for value in swept])
        else:
            values.append([str(override.input_line)])
    first = [choices[0] for choices in values]
    yield first
    for place, choices in enumerate(values):
        for choice in choices[1:]:
            yield [*first[:place], choice, *first[place + 1 :]]
