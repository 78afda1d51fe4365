"""Links of the documents to files of the repository beside them lead to the repository's page in the site, and the
configuration's page has the commented file below it."""
import pathlib
import re

ROOT = pathlib.Path(__file__).resolve().parent.parent


def on_page_markdown(markdown, *, page, config, files):
    def there(match):
        path = match[1].split("#")[0]
        # One that is not there stays as it is, and the strict build refuses it.
        return f"]({config.repo_url}/blob/main/{match[1]})" if (ROOT / path).exists() else match[0]

    if page.file.src_uri == "configuration.md":
        markdown += "\n## config/fuotad.toml\n\n```toml\n" + (ROOT / "config/fuotad.toml").read_text() + "```\n"
    return re.sub(r"\]\(\.\./([^)]*)\)", there, markdown)
