"""The pages: what people look at.

A page is a module with three things, and a template of its name; `overview.py` shows how:

- a model, a `msgspec.Struct` with everything that the template says: numbers as they are, no text for people;
- `async def model(view, viewer, query) -> Model`: `view` asks the store (`await view.ask(lambda engine: ...)`) and the
  workers (`view.workers`), `viewer.scope(since_ms=..., key=query.get("key"))` is what the viewer may see of what was
  asked for, and the only way to a `Scope`; `query` has what the URL says, the variables of the path among it.
  `NotFound` for what is not there or is another's, `InvalidRequest` for a query that makes no sense;
- `PAGE = Page(...)`, which `pages.PAGES` lists.

For that it gets, at its path, the page, and with `.json` and `.csv` behind it the same model; one model a second for
all tabs that ask alike, or fewer of what takes long; the sign-in, the foot, the error pages. Its template extends
`base.html`, fills the block `content`, and has `page`, `model`, `viewer`, `query`, `base` (of links: `{{ base }}spend`)
and what `filters` names.
A table stands in `<div class="wide" role="region" aria-labelledby="..." tabindex="0">`, its numbers are of class `n`.
"""
