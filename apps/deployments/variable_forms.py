"""Forms of environment variables."""

from django import forms

_SECRET = {"rows": 3, "class": "mono", "spellcheck": "false", "autocomplete": "off"}


class ValueForm(forms.Form):
    """Another value for a variable."""

    value = forms.CharField(
        label="Value", max_length=32_768, strip=False, widget=forms.Textarea(_SECRET),
        help_text="Encrypted, never shown again.",
    )  # fmt: skip


class VariableForm(ValueForm):
    """A new variable."""

    name = forms.CharField(
        label="Name", max_length=80, help_text="What people call it: Scoring API key of 2026."
    )
    key = forms.CharField(
        label="Key", max_length=120, help_text="What the container reads: SCORING_API_KEY.",
        widget=forms.TextInput(attrs={"class": "mono", "spellcheck": "false"}),
    )  # fmt: skip
    field_order = ("name", "key", "value")
