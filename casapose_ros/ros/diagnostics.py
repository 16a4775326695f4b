"""The node's state as a diagnostic status, and the counters read back from one."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from diagnostic_msgs.msg import DiagnosticStatus, KeyValue

from casapose_ros.ros.stats import Percentiles, Summary

COUNTERS = {
    "received": "images received",
    "published": "results published",
    "lost": "images lost on the way",
    "replaced": "dropped, newer image came",
    "rejected": "dropped, with a cause",
}
"""Keys of the counters in a status, by the names that they have in :class:`Summary`."""


@dataclass(frozen=True)
class Counters:
    """What a node has counted since its start; see :class:`Summary`."""

    received: int
    published: int
    lost: int
    replaced: int
    rejected: int


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


def read_counters(status: DiagnosticStatus) -> Counters:
    """The counters in a status that :func:`status` made."""
    values = {value.key: value.value for value in status.values}
    return Counters(**{name: int(values[key]) for name, key in COUNTERS.items()})


def _counters(summary: Summary) -> dict[str, str]:
    values = {
        "input Hz": f"{summary.input_hz:.2f}",
        "output Hz": f"{summary.output_hz:.2f}",
        **{key: str(getattr(summary, name)) for name, key in COUNTERS.items()},
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
