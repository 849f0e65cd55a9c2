"""What a deployment answers with: a trained adapter or a base model."""

from collections.abc import Container, Mapping
from dataclasses import dataclass, field
from typing import Any

from arkor.core.wire import Adapter
from arkor.errors import ProtocolError

__all__ = ["DeploymentTarget", "parse_target"]


@dataclass(frozen=True, slots=True)
class DeploymentTarget:
    """What an endpoint answers with: a trained adapter or a base model.

    Of a `kind` that this release does not know both are `None`, and all is in `extra`.
    """

    kind: str
    adapter: Adapter | None = None
    base_model: str | None = None
    extra: Mapping[str, Any] = field(default_factory=dict)

    @classmethod
    def of(cls, model: Adapter | str) -> "DeploymentTarget":
        """The target for an adapter, or for a base model by its id."""
        if isinstance(model, str):
            return cls("base_model", base_model=model)
        return cls("adapter", adapter=model)

    def to_wire(self) -> dict[str, Any]:
        """The JSON form, with every field that was read."""
        body = {**self.extra, "kind": self.kind}
        if self.adapter is not None:
            body["adapter"] = {**self.extra.get("adapter", {}), **self.adapter.to_wire()}
        if self.base_model is not None:
            body["baseModel"] = self.base_model
        return body


def parse_target(value: object) -> DeploymentTarget:
    """Read a target from JSON. Raises `ProtocolError` if it does not say which model it is."""
    if not isinstance(value, Mapping) or not isinstance(value.get("kind"), str):
        raise ProtocolError("a deployment's `target` must be an object with a `kind`")
    match value:
        case {"kind": "base_model", "baseModel": str(model)}:
            extra = _rest(value, ("kind", "baseModel"))
            return DeploymentTarget("base_model", base_model=model, extra=extra)
        case {"kind": "adapter", "adapter": {"kind": "final", "jobId": str(job_id)} as given}:
            return _of_adapter(value, given, Adapter("final", job_id))
        case {
            "kind": "adapter",
            "adapter": {"kind": "checkpoint", "jobId": str(job_id), "step": int(step)} as given,
        }:
            return _of_adapter(value, given, Adapter("checkpoint", job_id, step))
        case {"kind": "base_model"} | {
            "kind": "adapter",
            "adapter": {"kind": "final" | "checkpoint"},
        }:
            raise ProtocolError("a deployment's `target` does not say which model it is")
    return DeploymentTarget(value["kind"], extra=_rest(value, ("kind",)))


def _of_adapter(
    value: Mapping[str, Any], given: Mapping[str, Any], adapter: Adapter
) -> DeploymentTarget:
    extra = _rest(value, ("kind", "adapter"))
    if more := _rest(given, adapter.to_wire()):
        extra["adapter"] = more
    return DeploymentTarget("adapter", adapter=adapter, extra=extra)


def _rest(value: Mapping[str, Any], known: Container[str]) -> dict[str, Any]:
    return {key: value[key] for key in value if key not in known}
