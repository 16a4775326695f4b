"""The node's state as a diagnostic status."""

from __future__ import annotations

from collections.abc import Mapping

from diagnostic_msgs.msg import DiagnosticStatus, KeyValue

from casapose_ros.ros.stats import Percentiles, Summary


def status(
    name: str, summary: Summary, problem: str, facts: Mapping[str, str], *, fatal: bool = False
) -> DiagnosticStatus:
    """Make the status.

    Args:
        name: Name of the component.
        summary: The frame counters.
        problem: Why there is no output at this moment; empty if there is output.
        facts: Further keys and values, such as the model's name.
        fatal: Whether the problem stays until somebody restarts the node.
    """
    level = DiagnosticStatus.OK
    if problem:
        level = DiagnosticStatus.ERROR if fatal else DiagnosticStatus.WARN
    message = problem or f"{summary.output_hz:.1f} results per second"
    values = {**facts, **_counters(summary)}
    return DiagnosticStatus(
        level=level,
        name=name,
        message=message,
        hardware_id=facts.get("model", ""),
        values=[KeyValue(key=key, value=value) for key, value in values.items()],
    )


def _counters(summary: Summary) -> dict[str, str]:
    values = {
        "input Hz": f"{summary.input_hz:.2f}",
        "output Hz": f"{summary.output_hz:.2f}",
        "images received": str(summary.received),
        "results published": str(summary.published),
        "images lost on the way": str(summary.lost),
        "dropped, newer image came": str(summary.replaced),
        "dropped, with a cause": str(summary.rejected),
    }
    if summary.age is not None:
        values["age of result (ms)"] = _milliseconds(summary.age)
    for stage, percentiles in summary.stages.items():
        values[f"{stage} (ms)"] = _milliseconds(percentiles)
    if summary.last_error:
        values["last error"] = f"{summary.last_error} ({summary.last_error_age:.0f} s ago)"
    return values


def _milliseconds(percentiles: Percentiles) -> str:
    return f"p50 {1e3 * percentiles.p50:.1f}, p95 {1e3 * percentiles.p95:.1f}"
