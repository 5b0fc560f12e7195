"""The colours of the pages for what is drawn outside of their style sheets."""

Theme = dict[str, str]
THEMES: dict[str, Theme] = {
    "light": {
        "surface": "#ffffff",
        "ink": "#1c2430",
        "ink-2": "#545d6b",
        "rule": "#e4e0d8",
        "rule-strong": "#cfc9bd",
        "accent": "#1f4e8c",
        "plus": "#b4532a",
        "minus": "#2b6ca3",
    },
    "dark": {
        "surface": "#1b1e24",
        "ink": "#e8eaee",
        "ink-2": "#a5adba",
        "rule": "#2c313a",
        "rule-strong": "#3c434f",
        "accent": "#8ab4f0",
        "plus": "#f0a27a",
        "minus": "#7fb6e6",
    },
}
