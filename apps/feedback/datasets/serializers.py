"""Bodies of the API of data sets."""

from typing import Any

from rest_framework import serializers

from apps.feedback.datasets.models import DataSetExport, OptOut
from apps.feedback.datasets.settings import FORMATS, SOURCES, DataSetSettings


class DataSetIn(serializers.Serializer):
    """Body of POST datasets; every filter may be left out."""

    format = serializers.ChoiceField(FORMATS, default="parquet")
    to = serializers.DateTimeField(required=False, allow_null=True)
    sources = serializers.ListField(
        child=serializers.ChoiceField(list(SOURCES)), required=False, allow_empty=False
    )
    revisions = serializers.ListField(
        child=serializers.IntegerField(min_value=1), required=False, max_length=100
    )
    classes = serializers.ListField(
        child=serializers.CharField(max_length=200), required=False, max_length=100
    )

    def get_fields(self) -> dict[str, Any]:
        """`from` is a word of Python's own."""
        start = serializers.DateTimeField(required=False, allow_null=True)
        return super().get_fields() | {"from": start}


class OptOutIn(serializers.Serializer):
    """Body of POST optOuts."""

    customId = serializers.CharField(max_length=200)


def settings_of(body: dict[str, Any]) -> DataSetSettings:
    return DataSetSettings(
        format=body["format"],
        start=body.get("from"),
        end=body.get("to"),
        sources=tuple(body.get("sources") or SOURCES),
        revisions=tuple(body.get("revisions") or ()),
        classes=tuple(body.get("classes") or ()),
    )


def dataset_out(dataset: DataSetExport) -> dict[str, Any]:
    return {
        "id": str(dataset.id),
        "version": dataset.version,
        "format": dataset.format,
        "filters": dataset.filters,
        "state": dataset.state,
        "stateAt": dataset.state_at.isoformat(),
        "rowsWritten": dataset.written,
        "rows": dataset.rows,
        "sizeBytes": dataset.size_bytes,
        "sha256": dataset.sha256 or None,
        "columns": dataset.columns,
        "by": dataset.by_name,
        "createdAt": dataset.created_at.isoformat(),
        "message": dataset.reason or None,
    }


def opt_out_out(opted_out: OptOut) -> dict[str, Any]:
    return {
        "id": str(opted_out.id),
        "customId": opted_out.custom_id,
        "at": opted_out.at.isoformat(),
        "by": opted_out.by_name,
    }
