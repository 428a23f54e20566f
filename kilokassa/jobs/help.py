"""How the commands print their help: an example can be copied into a shell as it stands."""

import re
from typing import Final

import click

EXAMPLE: Final = "Example: "
_WORD: Final = re.compile(r'(?:"[^"]*"|\S)+')
_GO_ON: Final = " \\"


class HelpFormatter(click.HelpFormatter):
    """Wraps text as click does, but breaks an example only between words that a shell takes."""

    def write_text(self, text: str) -> None:
        """Write paragraphs; the lines of an example go on with a backslash."""
        for number, paragraph in enumerate(re.split(r"\n\s*\n", text)):
            if number:
                self.write_paragraph()
            if not paragraph.startswith(EXAMPLE):
                super().write_text(paragraph)
                continue
            room = max(self.width - self.current_indent, 11) - len(_GO_ON)
            for line in example_lines(paragraph, room):
                self.write(f"{'':>{self.current_indent}}{line}\n")


def example_lines(text: str, room: int) -> list[str]:
    r"""Return an example in lines that a shell reads as one command.

    >>> example_lines('Example: kilokassa end 5 --note "the last day"', 28)
    ['Example: kilokassa end 5 \\', '    --note "the last day"']
    """
    lines: list[str] = []
    for word in _WORD.findall(text.replace(_GO_ON, " ")):
        if lines and len(lines[-1]) + 1 + len(word) <= room:
            lines[-1] += f" {word}"
            continue
        if lines:
            lines[-1] += _GO_ON
        lines.append(f"    {word}" if lines else word)
    return lines
