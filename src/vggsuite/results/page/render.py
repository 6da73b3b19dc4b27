"""The page as one file that needs nothing else: Vega-Lite, styles, script and figures are in it."""

from base64 import b64encode
from collections.abc import Sequence
from hashlib import sha256
from importlib.resources import files
from pathlib import Path
from typing import Any

import vl_convert
from jinja2 import Environment, PackageLoader, StrictUndefined

from vggsuite.config import TableSettings
from vggsuite.errors import UserError
from vggsuite.files import write_atomically
from vggsuite.results.page.charts import curves_spec
from vggsuite.results.page.content import CURVES, RUN_HEADINGS, Content, gather, sources_of

PAGE_FILE = "report.html"
ASSETS = files("vggsuite.results.page")


def make_page(config: TableSettings) -> Path:
    """Write the page of `config`, and return its path.

    Raises:
        UserError: where there is nothing to show, and where it cannot be written.
    """
    content = gather(config)
    if not content.sources:
        raise UserError(
            f"paths.runs={config.paths.runs} holds no finished run of data={content.data}"
            f"{f' with {config.variant}' if config.variant else ''}; train some first, as `make demo` does, or type "
            "data=<another data set> or overrides=<others>."
        )
    file, page = Path(config.output) / PAGE_FILE, as_html(content)
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        write_atomically(file, page)
    except OSError as error:
        raise UserError(
            f"output={config.output} cannot be written to ({error.strerror}); type another folder."
        ) from error
    return file


def as_html(content: Content) -> str:
    """The page."""
    environment = Environment(
        loader=PackageLoader("vggsuite.results", "page"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    numbers = {name: number for number, name in enumerate(content.sources)}
    environment.policies["json.dumps_kwargs"] = {"allow_nan": False}  # no JSON, which a browser would refuse whole
    environment.globals["numbers_of"] = lambda cell: " ".join(str(numbers[name]) for name in sources_of(cell))
    library = vl_convert.javascript_bundle("window.vegaEmbed = vegaEmbed;")
    style, script = ((ASSETS / file).read_text(encoding="utf-8") for file in ("page.css", "page.js"))
    return environment.get_template("page.html").render(
        content=content,
        run_headings=RUN_HEADINGS,
        metrics=CURVES,
        embedded=embedded(content),
        library=library,
        style=style,
        script=script,
        policy=policy(scripts=(library, script), styles=(style,)),
    )


def policy(*, scripts: Sequence[str], styles: Sequence[str]) -> str:
    """The content security policy: nothing may be loaded or sent, and no script or style runs but these, by SHA-256."""
    hashes = {
        name: " ".join(f"'sha256-{b64encode(sha256(text.encode()).digest()).decode()}'" for text in texts)
        for name, texts in (("script-src", scripts), ("style-src", styles))
    }
    allowed = "".join(f"; {name} {values}" for name, values in hashes.items())
    return f"default-src 'none'{allowed}; img-src data:; base-uri 'none'; form-action 'none'"


def embedded(content: Content) -> dict[str, Any]:
    """What the page's script works with."""
    return {
        "sources": [{"name": name, **told} for name, told in content.sources.items()],
        "specs": {
            f"{chart.name}-{number}": spec for chart in content.charts for number, spec in enumerate(chart.panels)
        },
        "curves": content.curves,
        "curvesSpec": curves_spec(),
    }
