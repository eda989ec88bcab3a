"""SVG and HTML as text, by one function that escapes. Pure."""

from markupsafe import Markup, escape


def element(name: str, /, *children: object, **attributes: object) -> Markup:
    """Return an element; children and attributes are escaped unless they are markup already.

    Args:
        name: of the element, written by us.
        children: None is left out.
        attributes: None is left out; `class_` is `class`, `aria_label` is `aria-label`.
    """
    # The names are ours; each value goes through `escape`.
    head = "".join(
        f' {key.rstrip("_").replace("_", "-")}="{escape(str(value))}"'
        for key, value in attributes.items()
        if value is not None
    )
    inner = "".join(escape(child) for child in children if child is not None)
    return Markup(f"<{name}{head}>{inner}</{name}>")  # noqa: S704 -- all of it is escaped above


def drawing(*children: object, title: str, height: int, class_: str, has_links: bool) -> Markup:
    """Return a drawing as wide as its place, which says what it shows.

    Lengths across are percentages of it, so that no letter is stretched. Reading aids pass over what is in an image:
    links make it a group.
    """
    return element(
        "svg",
        element("title", title),
        *children,
        class_=f"chart {class_}",
        role="group" if has_links else "img",
        aria_label=title,
        width="100%",
        height=height,
    )


def linked(href: str | None, title: str, *children: object) -> Markup:
    """Return marks of a drawing that say what they are, and lead somewhere."""
    named = (element("title", title), *children)
    if href is None:
        return element("g", *named)
    return element("a", *named, href=href, aria_label=title)


def across(share: float) -> str:
    """Return a place or length across a drawing, from its share of the width."""
    return f"{100 * share:.2f}%"
