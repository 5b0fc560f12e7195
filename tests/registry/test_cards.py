"""Cards are Markdown, and nothing in them runs or tells others who reads them."""

from html.parser import HTMLParser

import pytest

from apps.registry.cards import render


def tags_in(html: str) -> list[tuple[str, dict[str, str]]]:
    """The tags that a browser would see, with their attributes."""
    found: list[tuple[str, dict[str, str]]] = []
    parser = HTMLParser()
    parser.handle_starttag = lambda tag, attributes: found.append((tag, dict(attributes)))  # type: ignore[method-assign,arg-type]
    parser.feed(html)
    return found


@pytest.mark.parametrize(
    "text",
    [
        "<script>alert(1)</script>",
        "<img src=x onerror=alert(1)>",
        '<a href="javascript:alert(1)" onclick="alert(1)">x</a>',
        "[x](javascript:alert(1))",
        "[x](JaVaScRiPt:alert(1))",
        "[x](&#106;avascript:alert(1))",
        "[x](data:text/html;base64,PHNjcmlwdD4=)",
        "![x](https://elsewhere.example/pixel.png)",
        "<style>body{display:none}</style>",
        "<iframe src=//x></iframe>",
        "```\n</code></pre><script>alert(1)</script>\n```",
    ],
)
def test_nothing_in_a_card_runs_or_is_fetched(text: str) -> None:
    for tag, attributes in tags_in(render(text)):
        assert tag not in {"script", "img", "style", "iframe"}
        assert set(attributes) <= {"href", "title", "rel"}
        assert attributes.get("href", "https:").startswith("https:")


def test_a_card_is_readable_as_html() -> None:
    html = render("# Purpose\n\n| a | b |\n|---|---|\n| 1 | 2 |\n\n[us](https://example.org)")
    assert "<h3>Purpose</h3>" in html
    assert "<td>1</td>" in html
    assert 'href="https://example.org"' in html
    assert 'rel="noopener noreferrer nofollow"' in html
