"""Units of measure: what each measures and how much of the first of its kind it is; words that multiply or say nothing."""

from fractions import Fraction
from typing import NamedTuple


class Measure(NamedTuple):
    """A unit: how often each kind of quantity is a factor of it, and its size."""

    kinds: tuple[tuple[str, int], ...]
    size: Fraction


_KINDS: dict[str, dict[str, str]] = {
    "length": {
        "1/1000000000": "nm nanometer nanometre",
        "1/1000000": "µm μm um micrometer micrometre micron",
        "1/1000": "mm millimeter millimetre",
        "1/100": "cm centimeter centimetre cms",
        "1/10": "dm decimeter decimetre",
        "1": "m meter metre mtr",
        "1000": "km kilometer kilometre kms",
        "127/5000": "inch inches in",
        "381/1250": "foot feet ft",
        "1143/1250": "yard yd",
        "201168/125": "mile mi",
        "9460730472580800": "lightyear",
    },
    "mass": {
        "1/1000000": "mg milligram",
        "1/1000": "g gram gm gms",
        "1": "kg kilogram kilo kgs",
        "1000": "tonne t",
        "45359237/100000000": "lb lbs pound",
        "45359237/1600000000": "oz ounce",
        "45359237/50000": "ton",
    },
    "time": {
        "1/1000000": "microsecond",
        "1/1000": "ms millisecond msec",
        "1": "s sec second",
        "60": "min minute mins",
        "3600": "h hr hour hrs",
        "86400": "day",
        "604800": "week wk wks",
        "1209600": "fortnight",
    },
    "months": {"1": "month mo", "12": "year yr yrs", "120": "decade", "1200": "century centuries"},
    "money": {"1": "dollar usd buck", "1/100": "cent penny pennies"},
    "euro": {"1": "euro eur €", "1/100": "eurocent"},
    "sterling": {"1": "gbp £ sterling", "1/100": "pence"},
    "yen": {"1": "yen jpy ¥"},
    "yuan": {"1": "yuan cny rmb 元"},
    "rupee": {"1": "rupee rs inr ₹", "1/100": "paise paisa"},
    "rouble": {"1": "rouble ruble rub ₽ рубль рубля рублей"},
    "won": {"1": "won krw ₩"},
    "clock before noon": {"1": "am"},
    "clock after noon": {"1": "pm"},
    "celsius": {"1": "celsius centigrade"},
    "fahrenheit": {"1": "fahrenheit"},
    "kelvin": {"1": "kelvin kelvins"},
    "data": {
        "1": "bit bits",
        "8": "byte",
        "8000": "kb kilobyte",
        "8000000": "mb megabyte",
        "8000000000": "gb gigabyte",
    },
    "frequency": {"1": "hz hertz", "1000": "khz", "1000000": "mhz"},
    "force": {"1": "newton n", "1000": "kn kilonewton"},
    "energy": {"1": "joule j", "1000": "kj kilojoule", "1000000": "mj"},
    "heat": {"1": "cal calorie", "1000": "kcal"},
    "power": {"1": "watt w", "1000": "kw kilowatt", "1000000": "megawatt"},
    "voltage": {"1": "volt v", "1000": "kv"},
    "current": {"1": "ampere amp ampère", "1/1000": "ma milliamp"},
    "resistance": {"1": "ohm ω", "1000": "kohm"},
    "pressure": {"1": "pascal pa", "1000": "kpa", "101325": "atm atmosphere"},
    "amount": {"1": "mol mole"},
    "radian": {"1": "rad radian"},
    "angle": {"1": "degree deg degs °", "1/60": "arcminute", "1/3600": "arcsecond"},
}
_COMPOUND: dict[str, tuple[tuple[tuple[str, int], ...], str]] = {
    "l liter litre ltr": ((("length", 3),), "1/1000"),
    "ml milliliter millilitre cc": ((("length", 3),), "1/1000000"),
    "cl centiliter centilitre": ((("length", 3),), "1/100000"),
    "dl deciliter decilitre": ((("length", 3),), "1/10000"),
    "gallon gal": ((("length", 3),), "473176473/125000000000"),
    "quart qt": ((("length", 3),), "473176473/500000000000"),
    "pint pt": ((("length", 3),), "473176473/1000000000000"),
    "cup": ((("length", 3),), "473176473/2000000000000"),
    "hectare ha": ((("length", 2),), "10000"),
    "acre": ((("length", 2),), "316160658/78125"),
    "mph": ((("length", 1), ("time", -1)), "1397/3125"),
    "kmh kph kmph": ((("length", 1), ("time", -1)), "5/18"),
    "fps": ((("length", 1), ("time", -1)), "381/1250"),
    "mps": ((("length", 1), ("time", -1)), "1"),
    "rpm": ((("time", -1),), "1/60"),
}
_IRREGULAR = frozenset(
    {
        "feet",
        "inches",
        "pennies",
        "centuries",
        "s",
        "rs",
        "cms",
        "kms",
        "gms",
        "kgs",
        "lbs",
        "mins",
        "hrs",
        "yrs",
        "pence",
    }
)


def _names(words: str) -> list[str]:
    return words.split()


def _measures() -> dict[str, Measure]:
    table: dict[str, Measure] = {}
    for kind, sizes in _KINDS.items():
        for size, names in sizes.items():
            table |= dict.fromkeys(names.split(), Measure(((kind, 1),), Fraction(size)))
    for names, (kinds, size) in _COMPOUND.items():
        table |= dict.fromkeys(names.split(), Measure(kinds, Fraction(size)))
    plural = {
        f"{name}{ending}": unit
        for name, unit in table.items()
        if len(name) > 2
        for ending in ("s", "es")
        if name not in _IRREGULAR
    }
    return plural | table


MEASURES = _measures()
"""Every unit by its name in lower case, plurals included."""

MAGNITUDES: dict[str, Fraction] = {
    "hundred": Fraction(100),
    "thousand": Fraction(1000),
    "k": Fraction(1000),
    "million": Fraction(10**6),
    "mn": Fraction(10**6),
    "mil": Fraction(10**6),
    "mio": Fraction(10**6),
    "billion": Fraction(10**9),
    "bn": Fraction(10**9),
    "trillion": Fraction(10**12),
    "quadrillion": Fraction(10**15),
    "lakh": Fraction(10**5),
    "crore": Fraction(10**7),
    "dozen": Fraction(12),
    "score": Fraction(20),
    "gross": Fraction(144),
    "ten": Fraction(10),
    "half": Fraction(1, 2),
    "halves": Fraction(1, 2),
    "tenth": Fraction(1, 10),
    "hundredth": Fraction(1, 100),
    "thousandth": Fraction(1, 1000),
    "millionth": Fraction(1, 10**6),
    "万": Fraction(10**4),
    "千": Fraction(1000),
    "百": Fraction(100),
    "亿": Fraction(10**8),
    "тысяч": Fraction(1000),
    "тысячи": Fraction(1000),
    "тыс": Fraction(1000),
    "миллион": Fraction(10**6),
    "миллиона": Fraction(10**6),
    "миллионов": Fraction(10**6),
    "млн": Fraction(10**6),
}
"""Words that multiply the number before them."""

CASED_MAGNITUDES = {"M": Fraction(10**6), "K": Fraction(1000), "B": Fraction(10**9), "T": Fraction(10**12)}
"""Single letters that multiply only as capitals: `m` is a metre."""

PERCENT_WORDS = frozenset({"percent", "percentage", "pct", "percents"})

EMPTY_WORDS = frozenset(
    {
        "a",
        "an",
        "the",
        "of",
        "in",
        "at",
        "total",
        "exactly",
        "each",
        "unit",
        "units",
        "long",
        "wide",
        "tall",
        "high",
        "old",
        "away",
        "value",
    }
)
"""Words after a number that name no unit; `units` stands for whichever unit is meant."""

TURNING_WORDS = frozenset(
    _names(
        "not no nor or and more less than least most fewer greater over under above below minus plus times negative squared "
        "cubed if when unless except but approximately about almost nearly roughly around up down remainder mod third thirds "
        "fold double triple twice"
    )
)
"""Words after a number with which it says something else than the number alone."""
