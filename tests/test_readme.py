"""The README says what is so: its commands are run, in its order, against a real server, and answer what it shows.

A block that follows a `sh` or `python` block, and is `json` or `text`, is the answer to it. An object that ends in `…`
has fields more than those shown.
"""

import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from servers import gradstep

README = Path(__file__).parents[1] / "README.md"
SERVER = "http://127.0.0.1:8000"
ANSWERED = "---- answered ----"
MORE = "…"


class Block(NamedTuple):
    """A fenced block: where it begins, in which language, and what is in it."""

    line: int
    language: str
    text: str


class Example(NamedTuple):
    """Commands, and the block that shows what they print (None: they print nothing)."""

    commands: Block
    answer: Block | None


def blocks() -> list[Block]:
    text = README.read_text("utf-8")
    fences = re.finditer(r"^```(\w+)\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)
    return [Block(text.count("\n", 0, fence.start()) + 1, fence[1], fence[2]) for fence in fences]


def examples() -> list[Example]:
    """The blocks that talk to the server, or use what it answered."""
    found = []
    all_blocks = blocks()
    for block, following in zip(all_blocks, [*all_blocks[1:], None], strict=True):
        if block.language == "python" or (block.language == "sh" and "curl" in block.text):
            answer = following if following and following.language in ("json", "text") else None
            found.append(Example(block, answer))
    return found


EXAMPLES = examples()


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of a server in a process of its own."""
    with gradstep(tmp_path_factory.mktemp("server")) as running:
        yield running.address


@pytest.fixture(scope="module")
def answers(server: str, tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    """What each example prints, all run by one shell."""
    missing = [tool for tool in ("bash", "curl", "python3") if shutil.which(tool) is None]
    if missing:
        pytest.skip(f"NOT TESTED: the README's commands need {' and '.join(missing)}, which this machine does not have")
    script = ["set -eu -o pipefail"]
    for example in EXAMPLES:
        text = example.commands.text.replace(SERVER, server)
        if example.commands.language == "python":
            text = f'"$PYTHON" - <<"END OF BLOCK"\n{text}END OF BLOCK\n'
        script += [text, f"printf '\\n%s\\n' '{ANSWERED}'"]
    done = subprocess.run(
        ["bash", "-c", "\n".join(script)], cwd=tmp_path_factory.mktemp("reader"), capture_output=True, timeout=120,
        env={**os.environ, "PYTHON": sys.executable, "NO_PROXY": "127.0.0.1", "no_proxy": "127.0.0.1"},
    )  # fmt: skip
    printed = done.stdout.decode().split(f"\n{ANSWERED}\n")
    assert done.returncode == 0, f"after {len(printed) - 1} blocks: {printed[-1]}\n{done.stderr.decode()}"
    return printed[:-1]


def test_the_two_commands() -> None:
    commands = [block.text.strip() for block in blocks() if block.language == "sh"]
    assert commands[:2] == ["pip install uv && uv run gradstep", "pip install uv && uv run pytest"]


def test_there_are_examples() -> None:
    assert len(EXAMPLES) >= 12
    assert sum(example.commands.language == "python" for example in EXAMPLES) >= 1


@pytest.mark.parametrize("index", range(len(EXAMPLES)), ids=[f"line{e.commands.line}" for e in EXAMPLES])
def test_example(index: int, answers: list[str]) -> None:
    answer, printed = EXAMPLES[index].answer, answers[index].strip()
    if answer is None:
        assert not printed
    elif answer.language == "text":
        assert printed == answer.text.strip()
    else:
        actual, shown = json.loads(printed), json.loads(answer.text.replace(MORE, f'"{MORE}": null'))
        assert parts_shown(normalised(actual), shown) == normalised(shown), f"it prints {printed}"


def normalised(value: Any, key: str = "") -> Any:
    """A JSON value without what is another one each time (ids, times) or on other machines (a float's last digits)."""
    if isinstance(value, dict):
        return {key: normalised(item, key) for key, item in value.items() if key != MORE}
    if isinstance(value, list):
        return [normalised(item) for item in value]
    if key == "elapsed" or key.endswith("_at"):
        return key
    if isinstance(value, float):
        return float(f"{value:.12g}")
    return re.sub(r"\b[0-9a-f]{32}\b", "ID", value) if isinstance(value, str) else value


def parts_shown(actual: Any, shown: Any) -> Any:
    """A JSON value without the fields that what is shown of it leaves out by `…`."""
    if isinstance(actual, dict) and isinstance(shown, dict):
        kept = {key: item for key, item in actual.items() if key in shown or MORE not in shown}
        return {key: parts_shown(item, shown.get(key)) for key, item in kept.items()}
    if isinstance(actual, list) and isinstance(shown, list) and len(actual) == len(shown):
        return [parts_shown(item, example) for item, example in zip(actual, shown, strict=True)]
    return actual
