"""A p value as text."""

LEVEL = 0.05
MOST_DIGITS = 9


def p_text(p: float) -> str:
    """`0.012`, `<0.001`; with as many digits as show on which side of 5 % it lies: `0.0499`."""
    if p < 0.001:
        return "<0.001"
    texts = [f"{p:.{digits}f}" for digits in range(3, MOST_DIGITS + 1)]
    return next((text for text in texts if _side(float(text)) == _side(p)), texts[-1])


def _side(p: float) -> int:
    return (p > LEVEL) - (p < LEVEL)
