"""Reports: figures, videos, a self-contained page out of run records, and the templates of what is told in words."""

import jinja2

from wellposed.memory import readable
from wellposed.runs.provenance import as_typed
from wellposed.stats import describe_interval, describe_rate


def template(name: str) -> jinja2.Template:
    """A template; everything that is put into a page of HTML is escaped unless it is our own SVG."""
    env = jinja2.Environment(
        loader=jinja2.PackageLoader("wellposed", "report"),
        autoescape=name.endswith(".html.j2"),
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    env.filters |= {
        "rate": describe_rate,
        "interval": describe_interval,
        "as_typed": as_typed,
        "readable": readable,
    }
    return env.get_template(name)
