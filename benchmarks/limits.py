"""Limits that benchmarks are to keep: each is printed with what was measured, and whether it was reached."""


def reached(what: str, value: float, limit: float, unit: str = "") -> bool:
    """Print `value` beside its upper limit and return whether it keeps it; what rounds to the limit does."""
    kept = round(value, 2) <= limit
    print(f"{what}: {value:.2f}{unit} (limit {limit:g}{unit}): {'reached' if kept else 'missed'}")
    return kept
