"""What the documentation shows, runs: every Python block, and the tutorial's shell blocks."""

import contextlib

import pytest

from microrollup.cli.docs import list_pages, read_page
from npm import install_npm, lend_package
from page_runner import Block, PageRunner, read_blocks
from paths import ROOT


def starts_processes(block: Block) -> bool:
    """Whether a block is more than Python in this process."""
    return block.marker.startswith(("node: ", "run", "background")) or (block.title or "").startswith("test_")


TUTORIAL = [name for name in list_pages() if name.split("/")[0] == "tutorial"]
BLOCKS = {name: read_blocks(read_page(name)) for name in list_pages() if name not in TUTORIAL}
PAGES = [
    pytest.param(name, marks=[pytest.mark.slow] if any(map(starts_processes, blocks)) else [])
    for name, blocks in BLOCKS.items()
    if any(block.language == "python" for block in blocks)
]


@pytest.mark.parametrize("name", PAGES)
def test_the_examples_of_a_page_run(name: str, tmp_path) -> None:
    """Every Python block of a page runs, all in one namespace; shell blocks run where they are marked."""
    directory = tmp_path / "page"
    directory.mkdir()
    with contextlib.closing(PageRunner(directory)) as runner:
        runner.run(read_page(name), commands=False)


@pytest.mark.slow
def test_the_tutorial_runs(tmp_path) -> None:
    """The tutorial's pages run one after another in one directory, their shell blocks too."""
    directory = tmp_path / "page"
    directory.mkdir()
    lend_package(install_npm(ROOT / "tests" / "wallets"), "viem", directory / "web")
    with contextlib.closing(PageRunner(directory)) as runner:
        for name in TUTORIAL:
            runner.run(read_page(name), commands=True)


def test_a_page_that_is_wrong_fails(tmp_path) -> None:
    """A block that raises, a command that fails, and output that is not what is shown are found."""
    directory = tmp_path / "page"
    directory.mkdir()
    with contextlib.closing(PageRunner(directory)) as runner:
        runner.run("```python\nx = 1\n```\n\n<!-- no run: shown only -->\n```python\nx = 2\n```\n", commands=False)
        assert 1 == runner.namespace["x"]
        runner.run("```python\nimport asyncio\nprint(await asyncio.sleep(0, x))\n```\n", commands=False)
        runner.run("<!-- output -->\n```text\n1\n```\n", commands=False)
        with pytest.raises(AssertionError, match="line 4 shows"):
            runner.run("\n<!-- output -->\n```text\n2\n```\n", commands=False)
        with pytest.raises(NameError):
            runner.run("```python\ny\n```\n", commands=False)
        runner.run("```sh\nexit 3\n```\n", commands=False)
        with pytest.raises(AssertionError, match="exit 3"):
            runner.run("```sh\nexit 3\n```\n", commands=True)


@pytest.mark.slow
def test_a_page_may_have_a_node(tmp_path) -> None:
    """A file is a module of the page, a node serves it on the port that the page shows, and ends with the page."""
    page = """
```sh
microrollup new tally --dir .
```

<!-- node: tally -->
```python
import httpx
print(httpx.get("http://127.0.0.1:8650/health").json()["intake"])
```

<!-- output -->
```text
open
```

```python title="asks.py"
answer = 42
```

```python
assert answer == 42
```
"""
    directory = tmp_path / "page"
    directory.mkdir()
    with contextlib.closing(PageRunner(directory)) as runner:
        runner.run(page, commands=True)
