"""What is shown and written while a run goes on."""

from .base import PositiveFloat, section


@section(frozen=True)
class TelemetryConfig:
    """Intervals of the reports."""

    # Seconds between two points on the TensorBoard curves.
    interval_s: PositiveFloat = 5.0
