#!/usr/bin/env python3
"""Checks the house rules that no linter knows: lengths of functions and files, documentation of what is public.

usage: house.py [FOLDER]   Prints the measures and every breach; ends with 1 if there is one.

A function counts from the line of its `fn` to the line of its closing brace, a file by its lines that are not blank.
Unit tests (`#[cfg(test)]`, `tests.rs`) are left out of both. Rust is scanned, not parsed: comments and
literals are blanked first, then braces are matched.
"""
import pathlib
import re
import subprocess
import sys

MAX_FUNCTION, MAX_FILE, MIN_DOCUMENTED = 80, 500, 95
OTHER_SOURCES = {".py", ".mjs", ".js", ".ts", ".vue", ".css", ".sh", ".sql"}

RAW = re.compile(r'b?c?r(#*)"')
CHARACTER = re.compile(r"b?'(?:\\(?:x[0-9a-fA-F]{2}|u\{[^}]*\}|.)|[^'\\])'")
FUNCTION = re.compile(r"\bfn\s+(\w+)")
PUBLIC = re.compile(
    r"^\s*pub (?:async |const |unsafe |extern \S+ )*(?:fn|struct|enum|trait|type|const|static|mod|macro)\b")
TEST_FILE = re.compile(r"(^|_)tests?$")
TEST_ITEM = re.compile(r"#\[cfg\((?:test|all\(test\b[^\]]*)\)\]")


def skip_literal(text, at):
    """The end of the comment or literal that starts at `at`, or None if none does."""
    if text.startswith("//", at):
        end = text.find("\n", at)
        return len(text) if end < 0 else end
    if text.startswith("/*", at):
        depth, at = 1, at + 2
        while depth and at < len(text):
            step = 2 if text[at:at + 2] in ("/*", "*/") else 1
            depth += {"/*": 1, "*/": -1}.get(text[at:at + 2], 0)
            at += step
        return at
    word_before = at and (text[at - 1].isalnum() or text[at - 1] == "_")
    raw = None if word_before else RAW.match(text, at)
    if raw:
        end = text.find('"' + raw[1], raw.end())
        return len(text) if end < 0 else end + 1 + len(raw[1])
    if text[at] == '"':
        at += 1
        while at < len(text) and text[at] != '"':
            at += 2 if text[at] == "\\" else 1
        return at + 1
    character = None if word_before else CHARACTER.match(text, at)
    return character.end() if character else None


def without_literals(text):
    """The text with comments and literals blanked; line breaks stay where they are."""
    out, at = [], 0
    while at < len(text):
        end = skip_literal(text, at)
        if end is None:
            out.append(text[at])
            at += 1
        else:
            out.append(re.sub(r"[^\n]", " ", text[at:end]))
            at = end
    return "".join(out)


def body(code, at):
    """Start and end of the braces that belong to the item at `at`, or None if it ends with a semicolon."""
    depth, start = 0, None
    for index in range(at, len(code)):
        letter = code[index]
        if letter in "([{":
            start = index if letter == "{" and not depth and start is None else start
            depth += 1
        elif letter in ")]}":
            depth -= 1
            if not depth and letter == "}" and start is not None:
                return start, index
        elif letter == ";" and not depth:
            return None
    return None


def without_tests(code, *texts):
    """All texts with the items under `#[cfg(test)]` blanked."""
    for found in TEST_ITEM.finditer(code):
        braces = body(code, found.end())
        end = braces[1] + 1 if braces else code.find(";", found.end()) + 1
        texts = [text[:found.start()] + re.sub(r"[^\n]", " ", text[found.start():end]) + text[end:] for text in texts]
    return texts


def documented(lines, index):
    """Whether the item on this line has a doc comment above its attributes."""
    index -= 1
    while index >= 0:
        line = lines[index].strip()
        if line.startswith("///") or line.startswith("#[doc"):
            return True
        if not (line.startswith("#[") or line.endswith("]") or line.endswith(",")) or not line:
            return False
        index -= 1
    return False


class Measures:
    """What was found, and what breaks a rule."""

    def __init__(self):
        self.functions, self.files, self.public, self.undocumented, self.breaches = [], 0, 0, [], []

    def rust(self, name, text, public):
        """One Rust file; `public` says whether its public items count."""
        code, source = without_tests(full := without_literals(text), full, text)
        self.length(name, source)
        if not text.lstrip().startswith("//!"):
            self.breaches.append(f"{name}: does not open with a `//!` that says what it owns")
        for found in FUNCTION.finditer(code):
            braces = body(code, found.end())
            if braces:
                first = code.count("\n", 0, found.start()) + 1
                size = code.count("\n", 0, braces[1]) + 2 - first
                self.functions.append(size)
                if size > MAX_FUNCTION:
                    self.breaches.append(f"{name}:{first}: fn {found[1]} has {size} lines (at most {MAX_FUNCTION})")
        lines, codes = source.split("\n"), code.split("\n")
        for index, line in enumerate(codes if public else []):
            # A file behind `pub mod` documents itself.
            if PUBLIC.match(line) and not re.search(r"\bmod\s+\w+;", line):
                self.public += 1
                if not documented(lines, index):
                    self.undocumented.append(f"{name}:{index + 1}: {line.strip()[:60]}")

    def length(self, name, text):
        """The length of any source file."""
        self.files += 1
        lines = sum(1 for line in text.split("\n") if line.strip())
        if lines > MAX_FILE:
            self.breaches.append(f"{name}: {lines} lines (at most {MAX_FILE})")


def sources(root):
    """Every file that git knows or would add."""
    listed = subprocess.run(["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"], cwd=root,
                            check=True, capture_output=True, text=True).stdout
    return sorted({root / name for name in listed.split("\0") if name and (root / name).is_file()})


def main():
    """Measures, prints, judges."""
    root = pathlib.Path(sys.argv[1] if len(sys.argv) > 1 else ".").resolve()
    measures = Measures()
    for path in sources(root):
        name = path.relative_to(root)
        if path.suffix == ".rs" and not TEST_FILE.search(path.stem):
            measures.rust(str(name), path.read_text(encoding="utf-8"), "src" in name.parts)
        elif path.suffix in OTHER_SOURCES:
            measures.length(str(name), path.read_text(encoding="utf-8"))
    sizes = sorted(measures.functions) or [0]
    share = 100 - 100 * len(measures.undocumented) / max(measures.public, 1)
    if share < MIN_DOCUMENTED:
        measures.breaches += [f"{where} has no documentation" for where in measures.undocumented]
    print(f"» {measures.files} source files; {len(sizes)} functions: median {sizes[len(sizes) // 2]}, "
          f"p95 {sizes[int(len(sizes) * .95)]}, longest {sizes[-1]} lines; "
          f"{share:.1f} % of {measures.public} public items documented")
    print("\n".join(measures.breaches))
    sys.exit(1 if measures.breaches else 0)


if __name__ == "__main__":
    main()
