"""How many steps one run may take: as many as are predicted to end within the run budget."""


class RunBudget:
    """Predicts a step's time from a running mean at each size of batch, sizes taken together by powers of two."""

    WEIGHT = 0.2  # of the newest run in the mean

    def __init__(self, seconds: float, most: int) -> None:
        """Aim at `seconds` a run, and take at most `most` steps."""
        self._seconds = seconds
        self._most = most
        self._means: dict[int, float] = {}

    def steps(self, rows: int) -> int:
        """How many steps a run of so many rows may take: at least one."""
        expected = self._expected(rows.bit_length())
        return 1 if expected is None else max(1, min(self._most, int(self._seconds / max(expected, 1e-9))))

    def took(self, rows: int, steps: int, seconds: float) -> None:
        """Learn from a run."""
        size, each = rows.bit_length(), seconds / steps
        mean = self._means.get(size, each)
        self._means[size] = mean + self.WEIGHT * (each - mean)

    def _expected(self, size: int) -> float | None:
        """Of a size that never ran: at least that of the next smaller one, doubled with each doubling of the rows."""
        if size in self._means or not self._means:
            return self._means.get(size)
        smaller = [known for known in self._means if known < size]
        if not smaller:
            return self._means[min(self._means)]
        return self._means[max(smaller)] * 2.0 ** (size - max(smaller))
